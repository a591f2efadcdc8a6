// The arithmetic between the matrix products and convolutions of a network, for CPUs: attention within short sequences,
// normalisation, activations, pooling, dropout, AdamW; and products in 8 bits and Winograd's convolutions. Written once on vectors of 16 numbers and compiled once for each set of
// instructions (build.rs gives VARIANT and the flags); native.cpp chooses among them and knows about tensors.
//
// No header with inline functions of its own belongs here: compiled for one CPU, they could end up being called on another.

#include "kernels.h"

#include <cstdlib>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))

namespace rehead {
namespace VARIANT {
namespace {

// ---- vectors of 16 ------------------------------------------------------------------------------------------------

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

// The first `count` elements, the rest 0.
template <class T>
INLINE Floats load_some(const T *from, int64_t count) {
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
    // Adding 1.5·2²³ rounds to the nearest whole number.
    Floats shifted = clamped * 1.44269504088896341f + 12582912.0f;
    Floats whole = shifted - 12582912.0f;
    Floats rest = clamped - whole * 0.693359375f - whole * -2.12194440e-4f;
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

// ---- dropout ------------------------------------------------------------------------------------------------------
// Whether element i is kept is a hash of (key, i): all cores draw at once, the backward pass draws the same again instead
// of keeping a mask, and the result does not depend on the number of threads.

// A 32-bit integer hash of low bias (multipliers from Chris Wellons, "Prospecting for hash functions", 2018).
INLINE Words draw(Words index, const Drop &drop) {
    Words x = index ^ drop.first;
    x ^= x >> 16;
    x *= 0x21F0AAADu;
    x += drop.second;
    x ^= x >> 15;
    x *= 0x735A2D97u;
    x ^= x >> 15;
    return x;
}

// `scale` where the elements from `index` on are kept, 0 elsewhere.
INLINE Floats mask(int64_t index, const Drop &drop) {
    const Words ramp = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    Words draws = draw(ramp + static_cast<uint32_t>(index), drop);
    return draws >= drop.threshold ? all(drop.scale) : Floats{};
}

template <class T>
INLINE void drop_range(const T *x, Drop drop, T *out, int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + LANES <= end; i += LANES) store(out + i, load(x + i) * mask(i, drop));
    if (i < end) store_some(out + i, load_some(x + i, end - i) * mask(i, drop), end - i);
}

// ---- residual, dropout and layer norm -------------------------------------------------------------------------------

// Calls body(column, count, whole vector?) along a row.
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

template <class T>
INLINE void add_norm_rows(const T *x, const T *residual, const float *weight, const float *bias, float epsilon, Drop drop,
                          T *sum_out, T *out, float *means, float *deviations, int64_t begin, int64_t end, int64_t width) {
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
        const float deviation = 1.0f / __builtin_sqrtf(sum(squares) * over + epsilon);
        if (means) {
            means[t] = mean;
            deviations[t] = deviation;
        }
        along(width, [&](int64_t i, int64_t count) {
            Floats normal = (take(row + i, count) - mean) * deviation;
            put(out + start + i, normal * take(weight + i, count) + take(bias + i, count), count);
        });
    }
}

template <class T>
INLINE void add_norm_backward_rows(const T *gradient, const T *sums, const float *weight, const float *means,
                                   const float *deviations, Drop drop, T *x_gradient, T *residual_gradient,
                                   float *weight_gradient, float *bias_gradient, int64_t begin, int64_t end, int64_t width) {
    const float over = 1.0f / static_cast<float>(width);
    for (int64_t t = begin; t < end; t++) {
        const int64_t start = t * width;
        const float mean = means[t], deviation = deviations[t];
        Floats first{}, second{};
        along(width, [&](int64_t i, int64_t count) {
            Floats g = take(gradient + start + i, count);
            Floats normal = (take(sums + start + i, count) - mean) * deviation;
            put(weight_gradient + i, take(weight_gradient + i, count) + g * normal, count);
            put(bias_gradient + i, take(bias_gradient + i, count) + g, count);
            Floats scaled = g * take(weight + i, count);  // 0 beyond the row
            first += scaled;
            second += scaled * normal;
        });
        const float mean_first = sum(first) * over, mean_second = sum(second) * over;
        along(width, [&](int64_t i, int64_t count) {
            Floats scaled = take(gradient + start + i, count) * take(weight + i, count);
            Floats normal = (take(sums + start + i, count) - mean) * deviation;
            Floats y = (scaled - mean_first - normal * mean_second) * deviation;
            if (residual_gradient) put(residual_gradient + start + i, y, count);
            if (x_gradient) put(x_gradient + start + i, drop.threshold ? y * mask(start + i, drop) : y, count);
        });
    }
}

// ---- images -------------------------------------------------------------------------------------------------------

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

void normalise(const uint8_t *bytes, const float *mean, const float *deviation, float *out, int64_t begin, int64_t end) {
    constexpr int64_t CHANNELS = 3, TOGETHER = CHANNELS * LANES;  // 16 pixels
    float means[TOGETHER], deviations[TOGETHER];
    for (int64_t i = 0; i < TOGETHER; i++) {
        means[i] = mean[i % CHANNELS];
        deviations[i] = deviation[i % CHANNELS];
    }
    int64_t at = begin * CHANNELS;
    for (; at + TOGETHER <= end * CHANNELS; at += TOGETHER) {
        for (int64_t part = 0; part < TOGETHER; part += LANES) {
            Bytes read = *reinterpret_cast<const LooseBytes *>(bytes + at + part);
            Floats value = __builtin_convertvector(__builtin_convertvector(read, Ints), Floats);
            store(out + at + part, (value / 255.0f - load(means + part)) / load(deviations + part));
        }
    }
    for (; at < end * CHANNELS; at++) {
        out[at] = (static_cast<float>(bytes[at]) / 255.0f - mean[at % CHANNELS]) / deviation[at % CHANNELS];
    }
}

template <class T, bool PLACES>
INLINE void max_pool_lines(const Windows &w, const T *x, T *out, uint8_t *place, int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; line++) {
        const T *image = x + line / w.out_height * w.height * w.width * w.channels;
        const int64_t top = line % w.out_height * w.stride - w.padding;
        const int64_t first_row = top < 0 ? 0 : top, last_row = top + w.size < w.height ? top + w.size : w.height;
        for (int64_t column = 0; column < w.out_width; column++) {
            const int64_t left = column * w.stride - w.padding, at = (line * w.out_width + column) * w.channels;
            const int64_t first = left < 0 ? 0 : left, last = left + w.size < w.width ? left + w.size : w.width;
            for (int64_t c = 0; c < w.channels; c += LANES) {
                const int64_t count = w.channels - c;
                Floats best = all(-__builtin_inff());
                Ints where = (Ints{} + 1) * static_cast<int32_t>((first_row - top) * w.size + first - left);
                for (int64_t row = first_row; row < last_row; row++) {
                    for (int64_t i = first; i < last; i++) {
                        Floats value = load_up_to(image + (row * w.width + i) * w.channels + c, count);
                        Ints better = (value > best) | (value != value);
                        best = better ? value : best;
                        if (PLACES) {
                            Ints here = (Ints{} + 1) * static_cast<int32_t>((row - top) * w.size + i - left);
                            where = better ? here : where;
                        }
                    }
                }
                store_up_to(out + at + c, best, count);
                if (PLACES) {
                    Bytes bytes = __builtin_convertvector(where, Bytes);
                    if (count >= LANES) {
                        store(place + at + c, bytes);
                    } else {
                        for (int64_t i = 0; i < count; i++) place[at + c + i] = bytes[i];
                    }
                }
            }
        }
    }
}

// The first window that reaches `at`, and the one behind the last.
INLINE int64_t first_window(const Windows &w, int64_t at) {
    const int64_t beyond = at + w.padding - w.size;
    return beyond < 0 ? 0 : beyond / w.stride + 1;
}
INLINE int64_t last_window(const Windows &w, int64_t at, int64_t windows) {
    const int64_t last = (at + w.padding) / w.stride + 1;
    return last < windows ? last : windows;
}

template <class T>
INLINE void max_pool_backward_lines(const Windows &w, const T *gradient, const uint8_t *place, T *x_gradient, int64_t begin,
                                    int64_t end) {
    for (int64_t line = begin; line < end; line++) {
        const int64_t image = line / w.height, row = line % w.height;
        const int64_t first_row = first_window(w, row), last_row = last_window(w, row, w.out_height);
        for (int64_t column = 0; column < w.width; column++) {
            const int64_t first = first_window(w, column), last = last_window(w, column, w.out_width);
            for (int64_t c = 0; c < w.channels; c += LANES) {
                const int64_t count = w.channels - c;
                Floats sum = {};
                for (int64_t i = first_row; i < last_row; i++) {
                    for (int64_t j = first; j < last; j++) {
                        const int64_t from = ((image * w.out_height + i) * w.out_width + j) * w.channels + c;
                        const int64_t here = (row - i * w.stride + w.padding) * w.size + column - j * w.stride + w.padding;
                        Ints mine = load_places(place + from, count) == static_cast<int32_t>(here);
                        sum += mine ? load_up_to(gradient + from, count) : Floats{};
                    }
                }
                store_up_to(x_gradient + (line * w.width + column) * w.channels + c, sum, count);
            }
        }
    }
}

// ---- activations --------------------------------------------------------------------------------------------------

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

template <Curve curve>
INLINE Floats activation(Floats x) {
    if (curve == Curve::gelu) return x * bell(x).share;
    return 0.5f * x * (1.0f + inner_tanh(x));
}

template <Curve curve>
INLINE Floats slope(Floats x) {
    if (curve == Curve::gelu) {
        Bell at = bell(x);
        return at.share + x * 0.3989422804014327f * at.density;
    }
    Floats inner = inner_tanh(x);
    Floats inside = 0.7978845608028654f * (1.0f + 3.0f * 0.044715f * x * x);
    return 0.5f * (1.0f + inner) + 0.5f * x * (1.0f - inner * inner) * inside;
}

template <Curve curve, class T>
INLINE void activate_range(const T *x, T *out, int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + LANES <= end; i += LANES) store(out + i, activation<curve>(load(x + i)));
    if (i < end) store_some(out + i, activation<curve>(load_some(x + i, end - i)), end - i);
}

template <Curve curve, class T>
INLINE void activate_backward_range(const T *x, const T *gradient, T *x_gradient, int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + LANES <= end; i += LANES) store(x_gradient + i, load(gradient + i) * slope<curve>(load(x + i)));
    if (i < end) {
        Floats product = load_some(gradient + i, end - i) * slope<curve>(load_some(x + i, end - i));
        store_some(x_gradient + i, product, end - i);
    }
}

// ---- small matrix products ------------------------------------------------------------------------------------------

// As many rows and vectors of a result as the registers hold.
#if defined(__AVX512F__)
constexpr int TILE_ROWS = 6, TILE_VECTORS = 4;
#else
constexpr int TILE_ROWS = 3, TILE_VECTORS = 1;
#endif

// c (+)= a b for a tile: a[m, k] is at a + m·a_row + k·a_column; b and c have rows of b_row and c_row numbers.
template <int ROWS, int VECTORS, bool ADD>
INLINE void tile(const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row, float *c, int64_t c_row,
                 int64_t depth) {
    Floats sums[ROWS][VECTORS];
#pragma GCC unroll 8
    for (int m = 0; m < ROWS; m++) {
#pragma GCC unroll 8
        for (int n = 0; n < VECTORS; n++) sums[m][n] = ADD ? load(c + m * c_row + n * LANES) : Floats{};
    }
    for (int64_t k = 0; k < depth; k++) {
        Floats right[VECTORS];
#pragma GCC unroll 8
        for (int n = 0; n < VECTORS; n++) right[n] = load(b + k * b_row + n * LANES);
#pragma GCC unroll 8
        for (int m = 0; m < ROWS; m++) {
            const float left = a[m * a_row + k * a_column];
#pragma GCC unroll 8
            for (int n = 0; n < VECTORS; n++) sums[m][n] += left * right[n];
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < ROWS; m++) {
#pragma GCC unroll 8
        for (int n = 0; n < VECTORS; n++) store(c + m * c_row + n * LANES, sums[m][n]);
    }
}

template <int VECTORS, bool ADD>
INLINE void strip(const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row, float *c, int64_t c_row,
                  int64_t rows, int64_t depth) {
    int64_t m = 0;
    for (; m + TILE_ROWS <= rows; m += TILE_ROWS) {
        tile<TILE_ROWS, VECTORS, ADD>(a + m * a_row, a_row, a_column, b, b_row, c + m * c_row, c_row, depth);
    }
    for (; m + 2 <= rows; m += 2) {
        tile<2, VECTORS, ADD>(a + m * a_row, a_row, a_column, b, b_row, c + m * c_row, c_row, depth);
    }
    if (m < rows) tile<1, VECTORS, ADD>(a + m * a_row, a_row, a_column, b, b_row, c + m * c_row, c_row, depth);
}

// The whole product; `columns` is a multiple of 16.
template <bool ADD>
__attribute__((noinline)) void multiply(const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row,
                                        float *c, int64_t c_row, int64_t rows, int64_t columns, int64_t depth) {
    int64_t n = 0;
    for (; n + TILE_VECTORS * LANES <= columns; n += TILE_VECTORS * LANES) {
        strip<TILE_VECTORS, ADD>(a, a_row, a_column, b + n, b_row, c + n, c_row, rows, depth);
    }
    if (TILE_VECTORS > 2 && n + 2 * LANES <= columns) {
        strip<2, ADD>(a, a_row, a_column, b + n, b_row, c + n, c_row, rows, depth);
        n += 2 * LANES;
    }
    for (; n + LANES <= columns; n += LANES) {
        strip<1, ADD>(a, a_row, a_column, b + n, b_row, c + n, c_row, rows, depth);
    }
}

// ---- attention ------------------------------------------------------------------------------------------------------

int64_t up(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

// Query rows that are weighed together: their scores against all keys stay in the second-level cache.
constexpr int64_t BLOCK = 48;

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

// Rows as fp32, each times `factor` and filled up with zeros to `padded` columns.
template <class T>
INLINE void widen(const T *from, int64_t stride, int64_t rows, int64_t columns, int64_t padded, float factor, float *to) {
    for (int64_t r = 0; r < rows; r++) {
        int64_t i = 0;
        for (; i + LANES <= columns; i += LANES) store(to + r * padded + i, load(from + r * stride + i) * factor);
        if (i < padded) store(to + r * padded + i, load_some(from + r * stride + i, columns - i) * factor);
    }
}

template <class T>
INLINE void narrow(const float *from, int64_t padded, int64_t rows, int64_t columns, float factor, T *to, int64_t stride) {
    for (int64_t r = 0; r < rows; r++) {
        along(columns, [&](int64_t i, int64_t count) { put(to + r * stride + i, load(from + r * padded + i) * factor, count); });
    }
}

// Exchanges the elements of two vectors whose lane numbers differ in bit `step`.
template <int STEP>
INLINE void exchange(Floats &a, Floats &b) {
    Ints low, high;
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) {
        low[i] = (i & STEP) ? LANES + (i ^ STEP) : i;
        high[i] = (i & STEP) ? LANES + i : (i ^ STEP);
    }
    Floats first = __builtin_shuffle(a, b, low), second = __builtin_shuffle(a, b, high);
    a = first;
    b = second;
}

template <int STEP>
INLINE void exchange_rows(Floats (&block)[LANES]) {
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) {
        if (!(i & STEP)) exchange<STEP>(block[i], block[i | STEP]);
    }
}

// `rows` rows of `columns` numbers (multiples of 16) with stride `from_row`, transposed.
INLINE void transpose(const float *from, int64_t from_row, int64_t rows, int64_t columns, float *to, int64_t to_row) {
    for (int64_t r = 0; r < rows; r += LANES) {
        for (int64_t c = 0; c < columns; c += LANES) {
            Floats block[LANES];
#pragma GCC unroll 16
            for (int i = 0; i < LANES; i++) block[i] = load(from + (r + i) * from_row + c);
            exchange_rows<8>(block);
            exchange_rows<4>(block);
            exchange_rows<2>(block);
            exchange_rows<1>(block);
#pragma GCC unroll 16
            for (int i = 0; i < LANES; i++) store(to + (c + i) * to_row + r, block[i]);
        }
    }
}

INLINE void fill(float *to, int64_t numbers) {
    for (int64_t i = 0; i < numbers; i += LANES) store(to + i, Floats{});
}

// Lanes from `count` on are 0.
INLINE Floats cut(Floats x, int64_t count) {
    const Ints ramp = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return ramp < static_cast<int32_t>(count) ? x : Floats{};
}

// What a (head, sequence) task works on.
struct Task {
    int64_t head, keys_begin, keys, queries_begin, queries;

    Task(const Attention &a, int64_t index) {
        head = index / a.sequences;
        const int64_t sequence = index % a.sequences;
        keys_begin = a.offsets[sequence];
        keys = a.offsets[sequence + 1] - keys_begin;
        queries_begin = a.first_only ? sequence : keys_begin;
        queries = a.first_only ? 1 : keys;
    }
    template <class T>
    INLINE const T *rows(const Rows &matrix, int64_t row, int64_t dimension) const {
        return static_cast<const T *>(matrix.data) + row * matrix.stride + head * dimension;
    }
    template <class T>
    INLINE T *rows(const MutableRows &matrix, int64_t row, int64_t dimension) const {
        return static_cast<T *>(matrix.data) + row * matrix.stride + head * dimension;
    }
    // Where the draws of a query's row of weights begin.
    INLINE int64_t draws(int64_t query, const Attention &a) const {
        return ((queries_begin + query) * a.heads + head) * 4096;
    }
};

INLINE float inverse_root(int64_t dimension) { return 1.0f / __builtin_sqrtf(static_cast<float>(dimension)); }

template <class T>
INLINE void attend(const Attention &a, MutableRows out, float *log_sum, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    const int64_t d = a.dimension, padded = up(d);
    for (int64_t index = begin; index < end; index++) {
        const Task task(a, index);
        const int64_t across = up(task.keys);
        scratch.reserve(2 * across * padded + BLOCK * (across + 2 * padded));
        float *wide = scratch.take(across * padded), *keys = scratch.take(across * padded);
        float *queries = scratch.take(BLOCK * padded), *scores = scratch.take(BLOCK * across);
        float *context = scratch.take(BLOCK * padded);

        widen(task.rows<T>(a.key, task.keys_begin, d), a.key.stride, task.keys, d, padded, 1.0f, wide);
        fill(wide + task.keys * padded, (across - task.keys) * padded);
        transpose(wide, padded, across, padded, keys, across);
        float *values = wide;
        widen(task.rows<T>(a.value, task.keys_begin, d), a.value.stride, task.keys, d, padded, 1.0f, values);

        for (int64_t q = 0; q < task.queries; q += BLOCK) {
            const int64_t count = task.queries - q < BLOCK ? task.queries - q : BLOCK;
            const int64_t row = task.queries_begin + q;
            widen(task.rows<T>(a.query, row, d), a.query.stride, count, d, padded, inverse_root(d), queries);
            multiply<false>(queries, padded, 1, keys, across, scores, across, count, across, d);
            for (int64_t i = 0; i < count; i++) {
                float *weights = scores + i * across;
                Floats top = all(-3.0e38f);
                for (int64_t k = 0; k < task.keys; k += LANES) {
                    Floats lanes = load(weights + k);
                    const Ints ramp = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
                    top = maximum(top, ramp < static_cast<int32_t>(task.keys - k) ? lanes : top);
                }
                const float most = largest(top);
                Floats total{};
                for (int64_t k = 0; k < across; k += LANES) {
                    Floats weight = cut(exponential(load(weights + k) - most), task.keys - k);
                    total += weight;
                    if (a.drop.threshold) weight *= mask(task.draws(q + i, a) + k, a.drop);
                    store(weights + k, weight);
                }
                const float whole = sum(total);
                if (log_sum) log_sum[task.head * a.queries + row + i] = most + __builtin_logf(whole);
                queries[i] = 1.0f / whole;  // the queries are spent
            }
            multiply<false>(scores, across, 1, values, padded, context, padded, count, padded, task.keys);
            for (int64_t i = 0; i < count; i++) {
                narrow(context + i * padded, padded, 1, d, queries[i], task.rows<T>(out, row + i, d), out.stride);
            }
        }
    }
}

template <class T>
INLINE void attend_backward(const Attention &a, Rows out, const float *log_sum, Rows gradient, MutableRows query_gradient,
                            MutableRows key_gradient, MutableRows value_gradient, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    const int64_t d = a.dimension, padded = up(d);
    for (int64_t index = begin; index < end; index++) {
        const Task task(a, index);
        const int64_t across = up(task.keys);
        scratch.reserve(5 * across * padded + BLOCK * (2 * across + 3 * padded));
        float *keys = scratch.take(across * padded), *keys_across = scratch.take(across * padded);
        float *values_across = scratch.take(across * padded);
        float *key_sums = scratch.take(across * padded), *value_sums = scratch.take(across * padded);
        float *queries = scratch.take(BLOCK * padded), *gradients = scratch.take(BLOCK * padded);
        float *rows = scratch.take(BLOCK * padded);
        float *weights = scratch.take(BLOCK * across), *slopes = scratch.take(BLOCK * across);

        // The values' rows are needed across only; their place becomes the value gradients'.
        widen(task.rows<T>(a.value, task.keys_begin, d), a.value.stride, task.keys, d, padded, 1.0f, value_sums);
        fill(value_sums + task.keys * padded, (across - task.keys) * padded);
        transpose(value_sums, padded, across, padded, values_across, across);
        widen(task.rows<T>(a.key, task.keys_begin, d), a.key.stride, task.keys, d, padded, 1.0f, keys);
        fill(keys + task.keys * padded, (across - task.keys) * padded);
        transpose(keys, padded, across, padded, keys_across, across);
        fill(key_sums, across * padded);
        fill(value_sums, across * padded);

        for (int64_t q = 0; q < task.queries; q += BLOCK) {
            const int64_t count = task.queries - q < BLOCK ? task.queries - q : BLOCK;
            const int64_t row = task.queries_begin + q;
            widen(task.rows<T>(a.query, row, d), a.query.stride, count, d, padded, inverse_root(d), queries);
            widen(task.rows<T>(gradient, row, d), gradient.stride, count, d, padded, 1.0f, gradients);
            widen(task.rows<T>(out, row, d), out.stride, count, d, padded, 1.0f, rows);
            multiply<false>(queries, padded, 1, keys_across, across, weights, across, count, across, d);
            multiply<false>(gradients, padded, 1, values_across, across, slopes, across, count, across, d);
            for (int64_t i = 0; i < count; i++) {
                Floats products{};
                for (int64_t k = 0; k < padded; k += LANES) {
                    products += load(gradients + i * padded + k) * load(rows + i * padded + k);
                }
                const float mean = sum(products), most = log_sum[task.head * a.queries + row + i];
                for (int64_t k = 0; k < across; k += LANES) {
                    float *weight_at = weights + i * across + k, *slope_at = slopes + i * across + k;
                    Floats weight = cut(exponential(load(weight_at) - most), task.keys - k);
                    Floats slope = load(slope_at), kept = weight;
                    if (a.drop.threshold) {
                        Floats keep = mask(task.draws(q + i, a) + k, a.drop);
                        slope *= keep;
                        kept *= keep;
                    }
                    store(slope_at, weight * (slope - mean));
                    store(weight_at, kept);
                }
            }
            multiply<true>(weights, 1, across, gradients, padded, value_sums, padded, task.keys, padded, count);
            multiply<true>(slopes, 1, across, queries, padded, key_sums, padded, task.keys, padded, count);
            multiply<false>(slopes, across, 1, keys, padded, rows, padded, count, padded, task.keys);
            narrow(rows, padded, count, d, inverse_root(d), task.rows<T>(query_gradient, row, d), query_gradient.stride);
        }
        narrow(key_sums, padded, task.keys, d, 1.0f, task.rows<T>(key_gradient, task.keys_begin, d), key_gradient.stride);
        narrow(value_sums, padded, task.keys, d, 1.0f, task.rows<T>(value_gradient, task.keys_begin, d),
               value_gradient.stride);
    }
}

// ---- AdamW ----------------------------------------------------------------------------------------------------------

// A first moment below this moves nothing any more and counts as 0.
constexpr float SPENT = 1e-30f;

void adamw_rows(float *parameter, float *first, float *second, uint32_t *last, const int64_t *rows, const float *gradient,
                float divisor, const AdamwNumbers *numbers, uint32_t first_number, uint32_t step, int64_t begin, int64_t end,
                int64_t width) {
    for (int64_t index = begin; index < end; index++) {
        const int64_t row = rows[index], start = row * width;
        const uint32_t from = last[row], idle_until = gradient ? step - 1 : step;
        along(width, [&](int64_t i, int64_t count) {
            Floats p = take(parameter + start + i, count);
            Floats m = take(first + start + i, count), v = take(second + start + i, count);
            for (uint32_t at = from + 1; at <= idle_until; at++) {
                const AdamwNumbers &n = numbers[at - first_number];
                p *= 1.0f - n.learning_rate * n.weight_decay;
                v *= n.beta2;
                if (largest(maximum(m, -m)) < SPENT) {
                    m = Floats{};
                } else {
                    m *= n.beta1;
                    p -= n.learning_rate / n.correction1 * m / (root(v) * (1.0f / n.correction2_root) + n.epsilon);
                }
            }
            if (gradient) {
                const AdamwNumbers &n = numbers[step - first_number];
                Floats g = take(gradient + index * width + i, count) * (1.0f / divisor);
                m = m * n.beta1 + g * (1.0f - n.beta1);
                v = v * n.beta2 + g * g * (1.0f - n.beta2);
                p *= 1.0f - n.learning_rate * n.weight_decay;
                p -= n.learning_rate / n.correction1 * m / (root(v) * (1.0f / n.correction2_root) + n.epsilon);
            }
            put(parameter + start + i, p, count);
            put(first + start + i, m, count);
            put(second + start + i, v, count);
        });
        last[row] = step;
    }
}

template <class T>
INLINE double square_sum_range(const T *x, int64_t begin, int64_t end) {
    double total = 0.0;
    // Short stretches in fp32, their sums in fp64: exact enough for a norm over millions.
    for (int64_t i = begin; i < end;) {
        const int64_t stop = end - i < 4096 ? end : i + 4096;
        Floats part{};
        for (; i + LANES <= stop; i += LANES) {
            Floats lanes = load(x + i);
            part += lanes * lanes;
        }
        if (i < stop) {
            Floats lanes = load_some(x + i, stop - i);
            part += lanes * lanes;
            i = stop;
        }
        total += static_cast<double>(sum(part));
    }
    return total;
}

// ---- linear layers in 8 bits --------------------------------------------------------------------------------------------

#if defined(__AVX512VNNI__)

constexpr int PANEL_VECTORS = PANEL / LANES;

void pack_int8(const float *weight, int64_t inputs, int64_t outputs, int64_t depth, int8_t *panels, float *scales,
               int32_t *offsets, int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; panel++) {
        int8_t *to = panels + panel * PANEL * depth;
        for (int64_t column = 0; column < PANEL; column++) {
            const int64_t output = panel * PANEL + column;
            const float *from = weight + output * inputs;
            float most = 0.0f;
            if (output < outputs) {
                for (int64_t k = 0; k < inputs; k++) most = __builtin_fabsf(from[k]) > most ? __builtin_fabsf(from[k]) : most;
            }
            const float scale = most / 127.0f, inverse = most > 0.0f ? 127.0f / most : 0.0f;
            int32_t total = 0;
            for (int64_t k = 0; k < depth; k++) {
                const bool there = output < outputs && k < inputs;
                const auto value = static_cast<int32_t>(there ? __builtin_nearbyintf(from[k] * inverse) : 0.0f);
                total += value;
                to[(k / 4 * PANEL + column) * 4 + k % 4] = static_cast<int8_t>(value);
            }
            scales[output] = scale;
            offsets[output] = 128 * total;
        }
    }
}

void quantise_rows(const void *x, int64_t inputs, int64_t depth, uint8_t *bytes, float *scales, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        const Bf16 *from = static_cast<const Bf16 *>(x) + row * inputs;
        Floats most{};
        along(inputs, [&](int64_t i, int64_t count) {
            Floats lanes = take(from + i, count);
            most = maximum(most, maximum(lanes, -lanes));
        });
        const float top = largest(most), inverse = top > 0.0f ? 127.0f / top : 0.0f;
        scales[row] = top / 127.0f;
        uint8_t *to = bytes + row * depth;
        for (int64_t i = 0; i < depth; i += LANES) {
            const int64_t left = inputs - i;
            Floats lanes = left >= LANES ? load(from + i) : left > 0 ? load_some(from + i, left) : Floats{};
            // Adding 1.5·2²³ rounds to the nearest whole number, which then stands in the low bits.
            Ints whole = (Ints)(lanes * inverse + 12582912.0f) - 0x4B400000 + 128;
            __m128i low = _mm512_cvtepi32_epi8((__m512i)whole);
            __builtin_memcpy(to + i, &low, sizeof low);
        }
    }
}

// Outputs that lie side by side, and what makes numbers of their sums.
struct Int8Outputs {
    Floats scale, bias;
    Ints offset;
    int64_t count;

    INLINE Int8Outputs(const Int8Linear &linear, int64_t column)
        : scale(load(linear.scales + column)), bias(load(linear.bias + column)),
          offset((Ints)_mm512_loadu_si512(linear.offsets + column)),
          count(linear.outputs - column < LANES ? linear.outputs - column : LANES) {}

    INLINE void finish(Ints sums, float row_scale, bool gelu, Curve curve, Bf16 *out) const {
        Floats y = (Floats)_mm512_cvtepi32_ps((__m512i)(sums - offset)) * (scale * row_scale) + bias;
        if (gelu) y = curve == Curve::gelu ? activation<Curve::gelu>(y) : activation<Curve::gelu_tanh>(y);
        put(out, y, count);
    }
};

// Rows whose bytes stay near while the panels pass.
constexpr int64_t NEAR = 192;

#if defined(__AMX_INT8__)

// What the matrix units are told of their eight tiles: each holds 16 rows of 64 bytes.
struct TileShapes {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Rows and outputs that are multiplied together: two tiles each way.
constexpr int64_t TILED = 32;

// The sums [TILED, TILED] of rows of bytes and outputs of a panel.
INLINE void int8_tiles(const uint8_t *bytes, const int8_t *weights, int64_t depth, int32_t *sums) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < depth; k += 64) {
        _tile_loadd(4, bytes + k, depth);
        _tile_loadd(5, bytes + 16 * depth + k, depth);
        _tile_loadd(6, weights + k * PANEL, 4 * PANEL);
        _tile_loadd(7, weights + k * PANEL + 64, 4 * PANEL);
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    _tile_stored(0, sums, TILED * sizeof *sums);
    _tile_stored(1, sums + 16, TILED * sizeof *sums);
    _tile_stored(2, sums + 16 * TILED, TILED * sizeof *sums);
    _tile_stored(3, sums + 16 * TILED + 16, TILED * sizeof *sums);
}

void multiply_int8(const Int8Linear &linear, const uint8_t *bytes, const float *scales, bool gelu, Curve curve, void *out,
                   int64_t begin, int64_t end) {
    static const TileShapes shapes;
    static thread_local Scratch scratch;
    const int64_t rest = (end - begin) % TILED;
    scratch.reserve(TILED * TILED + TILED * linear.depth / 4);
    auto *sums = reinterpret_cast<int32_t *>(scratch.take(TILED * TILED));
    // The last rows, filled up to a block.
    auto *last_rows = reinterpret_cast<uint8_t *>(scratch.take(TILED * linear.depth / 4));
    __builtin_memset(last_rows + rest * linear.depth, 0, (TILED - rest) * linear.depth);
    __builtin_memcpy(last_rows, bytes + (end - rest) * linear.depth, rest * linear.depth);
    _tile_loadconfig(&shapes);
    for (int64_t first = begin; first < end; first += NEAR) {
        const int64_t last = end - first < NEAR ? end : first + NEAR;
        for (int64_t column = 0; column < linear.outputs; column += TILED) {
            const int8_t *weights = linear.panels + column / PANEL * PANEL * linear.depth + column % PANEL * 4;
            for (int64_t row = first; row < last; row += TILED) {
                const int64_t rows = last - row < TILED ? last - row : TILED;
                int8_tiles(rows < TILED ? last_rows : bytes + row * linear.depth, weights, linear.depth, sums);
                for (int64_t at = 0; at < TILED && column + at < linear.outputs; at += LANES) {
                    const Int8Outputs outputs(linear, column + at);
                    Bf16 *to = static_cast<Bf16 *>(out) + row * linear.outputs + column + at;
                    for (int64_t m = 0; m < rows; m++) {
                        const Ints all_inputs = (Ints)_mm512_loadu_si512(sums + m * TILED + at);
                        outputs.finish(all_inputs, scales[row + m], gelu, curve, to + m * linear.outputs);
                    }
                }
            }
        }
    }
    _tile_release();
}

#else

template <int ROWS>
INLINE void int8_tile(const Int8Linear &linear, int64_t panel, const uint8_t *bytes, const float *row_scales, bool gelu,
                      Curve curve, Bf16 *out) {
    __m512i sums[ROWS][PANEL_VECTORS];
#pragma GCC unroll 8
    for (int m = 0; m < ROWS; m++) {
#pragma GCC unroll 8
        for (int n = 0; n < PANEL_VECTORS; n++) sums[m][n] = _mm512_setzero_si512();
    }
    const int8_t *weights = linear.panels + panel * PANEL * linear.depth;
    for (int64_t k = 0; k < linear.depth; k += 4) {
        __m512i right[PANEL_VECTORS];
#pragma GCC unroll 8
        for (int n = 0; n < PANEL_VECTORS; n++) right[n] = _mm512_loadu_si512(weights + k * PANEL + n * 64);
#pragma GCC unroll 8
        for (int m = 0; m < ROWS; m++) {
            int32_t four;
            __builtin_memcpy(&four, bytes + m * linear.depth + k, sizeof four);
            const __m512i left = _mm512_set1_epi32(four);
#pragma GCC unroll 8
            for (int n = 0; n < PANEL_VECTORS; n++) sums[m][n] = _mm512_dpbusd_epi32(sums[m][n], left, right[n]);
        }
    }
#pragma GCC unroll 8
    for (int n = 0; n < PANEL_VECTORS; n++) {
        const int64_t column = panel * PANEL + n * LANES;
        if (column >= linear.outputs) break;
        const Int8Outputs outputs(linear, column);
#pragma GCC unroll 8
        for (int m = 0; m < ROWS; m++) {
            outputs.finish((Ints)sums[m][n], row_scales[m], gelu, curve, out + m * linear.outputs + column);
        }
    }
}

void multiply_int8(const Int8Linear &linear, const uint8_t *bytes, const float *scales, bool gelu, Curve curve, void *out,
                   int64_t begin, int64_t end) {
    const int64_t panels = (linear.outputs + PANEL - 1) / PANEL;
    for (int64_t first = begin; first < end; first += NEAR) {
        const int64_t last = end - first < NEAR ? end : first + NEAR;
        for (int64_t panel = 0; panel < panels; panel++) {
            int64_t row = first;
            auto tile_at = [&](auto rows) {
                constexpr int ROWS = decltype(rows)::value;
                for (; row + ROWS <= last; row += ROWS) {
                    int8_tile<ROWS>(linear, panel, bytes + row * linear.depth, scales + row, gelu, curve,
                                    static_cast<Bf16 *>(out) + row * linear.outputs);
                }
            };
            tile_at(Constant<6>{});
            tile_at(Constant<2>{});
            tile_at(Constant<1>{});
        }
    }
}

#endif
#endif

// With narrower vectors than these oneDNN's convolutions are faster.
#if defined(__AVX512F__)
#include "winograd.inl"
#endif

// ---- the table --------------------------------------------------------------------------------------------------------

// Calls body with pointers of the stored kind.
#define BY_KIND(stored, ...)                         \
    if ((stored) == Stored::fp32) {                  \
        using T = float;                             \
        __VA_ARGS__;                                 \
    } else {                                         \
        using T = Bf16;                              \
        __VA_ARGS__;                                 \
    }

template <class T>
const T *in(const void *pointer) {
    return static_cast<const T *>(pointer);
}
template <class T>
T *at(void *pointer) {
    return static_cast<T *>(pointer);
}

void add_norm(Stored stored, const void *x, const void *residual, const float *weight, const float *bias, float epsilon,
              Drop drop, void *sums, void *out, float *mean, float *deviation, int64_t begin, int64_t end, int64_t width) {
    BY_KIND(stored, add_norm_rows<T>(in<T>(x), in<T>(residual), weight, bias, epsilon, drop, at<T>(sums), at<T>(out), mean,
                                     deviation, begin, end, width))
}

void add_norm_backward(Stored stored, const void *gradient, const void *sums, const float *weight, const float *mean,
                       const float *deviation, Drop drop, void *x_gradient, void *residual_gradient, float *weight_gradient,
                       float *bias_gradient, int64_t begin, int64_t end, int64_t width) {
    BY_KIND(stored, add_norm_backward_rows<T>(in<T>(gradient), in<T>(sums), weight, mean, deviation, drop, at<T>(x_gradient),
                                              at<T>(residual_gradient), weight_gradient, bias_gradient, begin, end, width))
}

void activate(Stored stored, Curve curve, const void *x, void *out, int64_t begin, int64_t end) {
    if (curve == Curve::gelu) {
        BY_KIND(stored, activate_range<Curve::gelu>(in<T>(x), at<T>(out), begin, end))
    } else {
        BY_KIND(stored, activate_range<Curve::gelu_tanh>(in<T>(x), at<T>(out), begin, end))
    }
}

void activate_backward(Stored stored, Curve curve, const void *x, const void *gradient, void *x_gradient, int64_t begin,
                       int64_t end) {
    if (curve == Curve::gelu) {
        BY_KIND(stored, activate_backward_range<Curve::gelu>(in<T>(x), in<T>(gradient), at<T>(x_gradient), begin, end))
    } else {
        BY_KIND(stored, activate_backward_range<Curve::gelu_tanh>(in<T>(x), in<T>(gradient), at<T>(x_gradient), begin, end))
    }
}

void max_pool(Stored stored, const Windows &w, const void *x, void *out, uint8_t *place, int64_t begin, int64_t end) {
    if (place) {
        BY_KIND(stored, (max_pool_lines<T, true>(w, in<T>(x), at<T>(out), place, begin, end)))
    } else {
        BY_KIND(stored, (max_pool_lines<T, false>(w, in<T>(x), at<T>(out), place, begin, end)))
    }
}

void max_pool_backward(Stored stored, const Windows &w, const void *gradient, const uint8_t *place, void *x_gradient,
                       int64_t begin, int64_t end) {
    BY_KIND(stored, max_pool_backward_lines(w, in<T>(gradient), place, at<T>(x_gradient), begin, end))
}

void dropout(Stored stored, const void *x, Drop drop, void *out, int64_t begin, int64_t end) {
    BY_KIND(stored, drop_range(in<T>(x), drop, at<T>(out), begin, end))
}

void attention(const Attention &a, MutableRows out, float *log_sum, int64_t begin, int64_t end) {
    BY_KIND(a.stored, attend<T>(a, out, log_sum, begin, end))
}

void attention_backward(const Attention &a, Rows out, const float *log_sum, Rows gradient, MutableRows query_gradient,
                        MutableRows key_gradient, MutableRows value_gradient, int64_t begin, int64_t end) {
    BY_KIND(a.stored, attend_backward<T>(a, out, log_sum, gradient, query_gradient, key_gradient, value_gradient, begin, end))
}

#if defined(__AVX512F__)

// In bf16 vectors would be slower than any other way without instructions for it, and than oneDNN's matrix units (3.5 times).
#if defined(__AVX512BF16__)
constexpr bool WINOGRAD_BF16 =
#if defined(__AMX_INT8__)
    false;
#else
    true;
#endif
#define BY_WINOGRAD_KIND BY_KIND
#else
constexpr bool WINOGRAD_BF16 = false;
#define BY_WINOGRAD_KIND(stored, ...) \
    using T = float;                  \
    __VA_ARGS__;
#endif

void winograd_weight(Stored stored, const WinogradWeight &w, const float *weight, void *panels, int64_t begin, int64_t end) {
    BY_WINOGRAD_KIND(stored, winograd_panels(weight, w, at<T>(panels), begin, end))
}

void winograd(Stored stored, const Winograd &w, const void *x, const void *panels, const void *bias, const void *added, void *out,
              int64_t begin, int64_t end) {
    BY_WINOGRAD_KIND(stored, winograd_tiles(w, in<T>(x), in<T>(panels), in<T>(bias), in<T>(added), at<T>(out), begin, end))
}

#endif

double square_sum(Stored stored, const void *x, int64_t begin, int64_t end) {
    BY_KIND(stored, return square_sum_range(in<T>(x), begin, end))
}

}  // namespace

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

extern const Kernels table;
const Kernels table = {
    TEXT(VARIANT), add_norm,  add_norm_backward,  activate, activate_backward,
    dropout,       attention, attention_backward, adamw_rows,
#if defined(__AVX512VNNI__)
    pack_int8,     quantise_rows, multiply_int8,
#else
    nullptr,       nullptr,   nullptr,
#endif
    normalise,     max_pool,  max_pool_backward,
#if defined(__AVX512F__)
    WINOGRAD_BF16, winograd_weight, winograd,
#else
    false,         nullptr,   nullptr,
#endif
    square_sum,
};

}  // namespace VARIANT
}  // namespace rehead
