// Residual, dropout and layer norm in one pass over memory, and backwards. Part of kernels.cpp, inside its namespace.

template <class T>
INLINE void add_norm_rows(const T *x, const T *residual, const float *weight, const float *bias, float epsilon,
                          DropoutMask drop, T *sum_out, T *out, float *means, float *inverse_stds, int64_t begin,
                          int64_t end, int64_t width) {
    alignas(64) float row[WIDEST_NORM];
    const float over = 1.0f / static_cast<float>(width);
    for (int64_t t = begin; t < end; t++) {
        const int64_t start = t * width;
        Floats total{};
        along(width, [&](int64_t i, int64_t count) {
            Floats y = take(x + start + i, count);
            if (drop.threshold) y *= mask(start + i, drop);
            if (residual) y += take(residual + start + i, count);
            if (sum_out) put(sum_out + start + i, y, count);
            put(row + i, y, count);
            total += y;
        });
        const float mean = sum(total) * over;
        Floats squares{};
        along(width, [&](int64_t i, int64_t count) {
            Floats centred = take(row + i, count) - mean;
            if (count == LANES) {
                squares += centred * centred;
            } else {
                float lanes[LANES];
                store(lanes, centred * centred);
                squares += load_some(lanes, count);
            }
        });
        const float inverse_std = 1.0f / __builtin_sqrtf(sum(squares) * over + epsilon);
        if (means) {
            means[t] = mean;
            inverse_stds[t] = inverse_std;
        }
        along(width, [&](int64_t i, int64_t count) {
            Floats normal = (take(row + i, count) - mean) * inverse_std;
            put(out + start + i, normal * take(weight + i, count) + take(bias + i, count), count);
        });
    }
}

template <class T>
INLINE void add_norm_backward_rows(const T *gradient, const T *sums, const float *weight, const float *means,
                                   const float *inverse_stds, DropoutMask drop, T *x_gradient, T *residual_gradient,
                                   float *weight_gradient, float *bias_gradient, int64_t begin, int64_t end,
                                   int64_t width) {
    const float over = 1.0f / static_cast<float>(width);
    for (int64_t t = begin; t < end; t++) {
        const int64_t start = t * width;
        const float mean = means[t], inverse_std = inverse_stds[t];
        Floats first{}, second{};
        along(width, [&](int64_t i, int64_t count) {
            Floats g = take(gradient + start + i, count);
            Floats normal = (take(sums + start + i, count) - mean) * inverse_std;
            put(weight_gradient + i, take(weight_gradient + i, count) + g * normal, count);
            put(bias_gradient + i, take(bias_gradient + i, count) + g, count);
            Floats scaled = g * take(weight + i, count);  // 0 beyond the row
            first += scaled;
            second += scaled * normal;
        });
        const float mean_first = sum(first) * over, mean_second = sum(second) * over;
        along(width, [&](int64_t i, int64_t count) {
            Floats scaled = take(gradient + start + i, count) * take(weight + i, count);
            Floats normal = (take(sums + start + i, count) - mean) * inverse_std;
            Floats y = (scaled - mean_first - normal * mean_second) * inverse_std;
            if (residual_gradient) put(residual_gradient + start + i, y, count);
            if (x_gradient) put(x_gradient + start + i, drop.threshold ? y * mask(start + i, drop) : y, count);
        });
    }
}

void add_norm(Stored stored, const void *x, const void *residual, const float *weight, const float *bias, float epsilon,
              DropoutMask drop, void *sums, void *out, float *mean, float *inverse_std, int64_t begin, int64_t end,
              int64_t width) {
    BY_KIND(stored, add_norm_rows<T>(in<T>(x), in<T>(residual), weight, bias, epsilon, drop, at<T>(sums), at<T>(out),
                                     mean, inverse_std, begin, end, width))
}

void add_norm_backward(Stored stored, const void *gradient, const void *sums, const float *weight, const float *mean,
                       const float *inverse_std, DropoutMask drop, void *x_gradient, void *residual_gradient,
                       float *weight_gradient, float *bias_gradient, int64_t begin, int64_t end, int64_t width) {
    BY_KIND(stored,
            add_norm_backward_rows<T>(in<T>(gradient), in<T>(sums), weight, mean, inverse_std, drop, at<T>(x_gradient),
                                      at<T>(residual_gradient), weight_gradient, bias_gradient, begin, end, width))
}
