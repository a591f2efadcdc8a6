// GELU, exact and by its tanh approximation, and its derivative. Part of kernels.cpp, inside its namespace.

struct Bell {
    Floats share;    // Φ(x), the normal distribution's
    Floats density;  // e^(-x²/2)
};

// Φ by Abramowitz & Stegun 7.1.26 (error below 1e-7).
INLINE Bell bell(Floats x) {
    Floats size = maximum(x, -x);
    Floats t = 1.0f / (1.0f + 0.3275911f * 0.70710678118654752f * size);
    Floats density = exponential(-0.5f * x * x);
    Floats y = all(1.061405429f);
    y = y * t - 1.453152027f;
    y = y * t + 1.421413741f;
    y = y * t - 0.284496736f;
    y = y * t + 0.254829592f;
    Floats tail = 0.5f * y * t * density;
    return {x > 0.0f ? 1.0f - tail : tail, density};
}

// tanh of √(2/π)(x + 0.044715 x³), the approximation's inside.
INLINE Floats inner_tanh(Floats x) {
    Floats inside = 0.7978845608028654f * (x + 0.044715f * x * x * x);
    Floats bounded = maximum(minimum(inside, all(20.0f)), all(-20.0f));
    return 1.0f - 2.0f / (exponential(2.0f * bounded) + 1.0f);
}

template <Activation ACTIVATION>
INLINE Floats activate_lanes(Floats x) {
    if (ACTIVATION == Activation::gelu) return x * bell(x).share;
    return 0.5f * x * (1.0f + inner_tanh(x));
}

template <Activation ACTIVATION>
INLINE Floats derivative(Floats x) {
    if (ACTIVATION == Activation::gelu) {
        Bell at = bell(x);
        return at.share + x * 0.3989422804014327f * at.density;
    }
    Floats inner = inner_tanh(x);
    Floats inside = 0.7978845608028654f * (1.0f + 3.0f * 0.044715f * x * x);
    return 0.5f * (1.0f + inner) + 0.5f * x * (1.0f - inner * inner) * inside;
}

template <Activation ACTIVATION, class T>
INLINE void activate_range(const T *x, T *out, int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + LANES <= end; i += LANES) store(out + i, activate_lanes<ACTIVATION>(load(x + i)));
    if (i < end) store_some(out + i, activate_lanes<ACTIVATION>(load_some(x + i, end - i)), end - i);
}

template <Activation ACTIVATION, class T>
INLINE void activate_backward_range(const T *x, const T *gradient, T *x_gradient, int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + LANES <= end; i += LANES)
        store(x_gradient + i, load(gradient + i) * derivative<ACTIVATION>(load(x + i)));
    if (i < end) {
        Floats product = load_some(gradient + i, end - i) * derivative<ACTIVATION>(load_some(x + i, end - i));
        store_some(x_gradient + i, product, end - i);
    }
}

void activate(Stored stored, Activation activation, const void *x, void *out, int64_t begin, int64_t end) {
    if (activation == Activation::gelu) {
        BY_KIND(stored, activate_range<Activation::gelu>(in<T>(x), at<T>(out), begin, end))
    } else {
        BY_KIND(stored, activate_range<Activation::gelu_tanh>(in<T>(x), at<T>(out), begin, end))
    }
}

void activate_backward(Stored stored, Activation activation, const void *x, const void *gradient, void *x_gradient,
                       int64_t begin, int64_t end) {
    if (activation == Activation::gelu) {
        BY_KIND(stored,
                activate_backward_range<Activation::gelu>(in<T>(x), in<T>(gradient), at<T>(x_gradient), begin, end))
    } else {
        BY_KIND(stored, activate_backward_range<Activation::gelu_tanh>(in<T>(x), in<T>(gradient), at<T>(x_gradient),
                                                                       begin, end))
    }
}
