// Vectors of 16 numbers, on which all kernels for CPUs are written: loading, storing and rounding, sums and maxima,
// e^x, walking along a row, and memory for what lies between. Part of kernels.cpp, inside its namespace.

constexpr int64_t LANES = 16;
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));
// The same as they lie in memory, wherever that begins.
typedef float LooseFloats __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t LooseHalves __attribute__((vector_size(32), aligned(2), may_alias));

struct Bf16 {
    uint16_t bits;
};

template <int VALUE>
struct Constant {
    static constexpr int value = VALUE;
};

INLINE Floats all(float value) { return value - Floats{}; }

INLINE Floats load(const float *from) { return *reinterpret_cast<const LooseFloats *>(from); }
INLINE Floats load(const Bf16 *from) {
    Halves halves = *reinterpret_cast<const LooseHalves *>(from);
    return (Floats)(__builtin_convertvector(halves, Words) << 16);
}

INLINE void store(float *to, Floats values) { *reinterpret_cast<LooseFloats *>(to) = values; }
INLINE void store(Bf16 *to, Floats values) {
#if defined(__AVX512BF16__)
    __m256bh halves = _mm512_cvtneps_pbh((__m512)values);
    __builtin_memcpy(to, &halves, sizeof halves);
#else
    // To the nearest, ties to even. Not-a-number stays so, since it is quiet (its highest mantissa bit is set).
    Words bits = (Words)values;
    bits += 0x7FFF + ((bits >> 16) & 1);
    *reinterpret_cast<LooseHalves *>(to) = __builtin_convertvector(bits >> 16, Halves);
#endif
}

INLINE float one(float value) { return value; }
INLINE float one(Bf16 value) {
    uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
    float result;
    __builtin_memcpy(&result, &bits, sizeof result);
    return result;
}

// The first `count` elements, at most LANES, the rest 0.
template <class T>
INLINE Floats load_some(const T *from, int64_t count) {
    if (count > LANES) __builtin_unreachable();
    float lanes[LANES] = {};
    for (int64_t i = 0; i < count; i++) lanes[i] = one(from[i]);
    return load(lanes);
}
template <class T>
INLINE void store_some(T *to, Floats values, int64_t count) {
    T lanes[LANES];
    store(lanes, values);
    for (int64_t i = 0; i < count; i++) to[i] = lanes[i];
}

INLINE float sum(Floats x) {
    float lanes[LANES];
    store(lanes, x);
    for (int64_t half = LANES / 2; half > 0; half /= 2) {
        for (int64_t i = 0; i < half; i++) lanes[i] += lanes[i + half];
    }
    return lanes[0];
}
INLINE float largest(Floats x) {
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)x);
#else
    float lanes[LANES];
    store(lanes, x);
    float result = lanes[0];
    for (int64_t i = 1; i < LANES; i++) result = lanes[i] > result ? lanes[i] : result;
    return result;
#endif
}

INLINE Floats maximum(Floats a, Floats b) { return a > b ? a : b; }
INLINE Floats minimum(Floats a, Floats b) { return a < b ? a : b; }

INLINE Floats root(Floats x) {
#if defined(__AVX512F__)
    return (Floats)_mm512_sqrt_ps((__m512)x);
#else
    float lanes[LANES];
    store(lanes, x);
    for (int64_t i = 0; i < LANES; i++) lanes[i] = __builtin_sqrtf(lanes[i]);
    return load(lanes);
#endif
}

// e^x to within 2 units in the last place (polynomial of Cephes' expf); 0 below -87.3.
INLINE Floats exponential(Floats x) {
    Floats clamped = maximum(minimum(x, all(88.0f)), all(-87.3f));
    // Adding 1.5·2²³ rounds to the nearest integer.
    Floats shifted = clamped * 1.44269504088896341f + 12582912.0f;
    Floats nearest = shifted - 12582912.0f;
    Floats rest = clamped - nearest * 0.693359375f - nearest * -2.12194440e-4f;
    Floats y = all(1.9875691500e-4f);
    y = y * rest + 1.3981999507e-3f;
    y = y * rest + 8.3334519073e-3f;
    y = y * rest + 4.1665795894e-2f;
    y = y * rest + 1.6666665459e-1f;
    y = y * rest + 5.0000001201e-1f;
    y = y * rest * rest + rest + 1.0f;
    Ints power = ((Ints)shifted - 0x4B400000 + 127) << 23;
    Floats result = y * (Floats)power;
    return x < -87.3f ? Floats{} : result;
}

// ---- rows ---------------------------------------------------------------------------------------------------------

// Calls body(column, count) along a row.
template <class Body>
INLINE void along(int64_t width, Body body) {
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) body(i, LANES);
    if (i < width) body(i, width - i);
}

template <class T>
INLINE Floats take(const T *from, int64_t count) {
    return count == LANES ? load(from) : load_some(from, count);
}
template <class T>
INLINE void put(T *to, Floats values, int64_t count) {
    if (count == LANES) {
        store(to, values);
    } else {
        store_some(to, values, count);
    }
}

// Up to full vectors.
INLINE int64_t round_up(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

// ---- bytes ----------------------------------------------------------------------------------------------------------

typedef uint8_t Bytes __attribute__((vector_size(16)));
typedef uint8_t LooseBytes __attribute__((vector_size(16), aligned(1), may_alias));

INLINE void store(uint8_t *to, Bytes values) { *reinterpret_cast<LooseBytes *>(to) = values; }
INLINE Ints load_places(const uint8_t *from, int64_t count) {
    Bytes bytes = {};
    if (count >= LANES) {
        bytes = *reinterpret_cast<const LooseBytes *>(from);
    } else {
        for (int64_t i = 0; i < count; i++) bytes[i] = from[i];
    }
    return __builtin_convertvector(bytes, Ints);
}

template <class T>
INLINE Floats load_up_to(const T *from, int64_t count) {
    return count >= LANES ? load(from) : load_some(from, count);
}
template <class T>
INLINE void store_up_to(T *to, Floats values, int64_t count) {
    if (count >= LANES) {
        store(to, values);
    } else {
        store_some(to, values, count);
    }
}

// ---- memory ---------------------------------------------------------------------------------------------------------

// Memory of a thread's own, kept from call to call.
struct Scratch {
    float *begin = nullptr;
    int64_t size = 0, used = 0;

    ~Scratch() { __builtin_free(begin); }
    void reserve(int64_t numbers) {
        used = 0;
        if (numbers <= size) return;
        __builtin_free(begin);
        // Whole cache lines.
        begin = static_cast<float *>(aligned_alloc(64, (numbers * sizeof(float) + 63) / 64 * 64));
        if (!begin) __builtin_trap();
        size = numbers;
    }
    float *take(int64_t numbers) {
        float *part = begin + used;
        used += numbers;
        return part;
    }
};

INLINE void fill(float *to, int64_t numbers) {
    for (int64_t i = 0; i < numbers; i += LANES) store(to + i, Floats{});
}

// ---- the stored kind ------------------------------------------------------------------------------------------------

// Calls body with pointers of the stored kind.
#define BY_KIND(stored, ...)        \
    if ((stored) == Stored::fp32) { \
        using T = float;            \
        __VA_ARGS__;                \
    } else {                        \
        using T = Bf16;             \
        __VA_ARGS__;                \
    }

template <class T>
const T *in(const void *pointer) {
    return static_cast<const T *>(pointer);
}
template <class T>
T *at(void *pointer) {
    return static_cast<T *>(pointer);
}
