// The arithmetic between the matrix products of an encoder, for NVIDIA GPUs: the same as kernels.cpp does on the CPU,
// in as few passes over memory. Compiled on the machine itself for the GPU that is there (nvrtc.cpp), and by the C++
// compiler for the tests (emulation.cpp), so no header is needed and nothing but CUDA's built-in functions is used.
//
// Everywhere a warp walks along a row, each thread always over the same columns; what a thread keeps in `room` it alone
// reads, up to a barrier. Sums have a fixed order, so that equal launches give equal bits.

#if defined(__CUDACC_RTC__)
struct DropoutMask {  // as in kernels.h
    unsigned key_low, key_high, threshold;
    float scale;
};
#endif

struct Bf16 {
    unsigned short bits;
};

// ---- elements ------------------------------------------------------------------------------------------------------

__device__ inline float widen(float value) { return value; }
__device__ inline float widen(Bf16 value) { return __uint_as_float(static_cast<unsigned>(value.bits) << 16); }

__device__ inline void narrow(float value, float &to) { to = value; }
__device__ inline void narrow(float value, Bf16 &to) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to.bits) : "f"(value));
#else
    // To the nearest, ties to even; not-a-number stays so.
    const unsigned bits = __float_as_uint(value);
    const bool number = (bits & 0x7FFFFFFFu) <= 0x7F800000u;
    to.bits = static_cast<unsigned short>(number ? (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16 : 0x7FFFu);
#endif
}

// COUNT neighbours, read and written at once.
template <class T, int COUNT>
struct __align__(COUNT * sizeof(T)) Pack {
    T at[COUNT];
};

template <int COUNT, class T>
__device__ inline void load(const T *from, float (&to)[COUNT]) {
    const Pack<T, COUNT> pack = *reinterpret_cast<const Pack<T, COUNT> *>(from);
#pragma unroll
    for (int k = 0; k < COUNT; k++) to[k] = widen(pack.at[k]);
}
template <int COUNT, class T>
__device__ inline void store(T *to, const float (&from)[COUNT]) {
    Pack<T, COUNT> pack;
#pragma unroll
    for (int k = 0; k < COUNT; k++) narrow(from[k], pack.at[k]);
    *reinterpret_cast<Pack<T, COUNT> *>(to) = pack;
}

constexpr int WARP = 32;

// The sum over a warp, the same bits in every thread.
__device__ inline float warp_sum(float value) {
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(0xFFFFFFFFu, value, distance);
    return value;
}

// ---- dropout: the hash of kernels.cpp, so that CPU and GPU drop the same elements ----------------------------------

__device__ inline float mask(long long index, const DropoutMask &drop) {
    unsigned x = static_cast<unsigned>(index) ^ drop.key_low;
    x ^= x >> 16;
    x *= 0x21F0AAADu;
    x += drop.key_high;
    x ^= x >> 15;
    x *= 0x735A2D97u;
    x ^= x >> 15;
    return x >= drop.threshold ? drop.scale : 0.0f;
}

template <int COUNT, class T>
__device__ inline void drop_some(const T *x, const DropoutMask &drop, T *out, long long i) {
    float y[COUNT];
    load(x + i, y);
#pragma unroll
    for (int k = 0; k < COUNT; k++) y[k] *= mask(i + k, drop);
    store(out + i, y);
}

template <class T>
__device__ inline void dropout(const T *x, DropoutMask drop, T *out, long long count, int by_four) {
    const long long i = 4 * (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x);
    if (by_four && i + 4 <= count) {
        drop_some<4>(x, drop, out, i);
    } else {
        for (long long at = i; at < count && at < i + 4; at++) drop_some<1>(x, drop, out, at);
    }
}

// ---- residual, dropout and layer norm ------------------------------------------------------------------------------

extern __shared__ __align__(16) float room[];

// A row a warp. `room`: a row of floats a warp. `residual`, `sums` and with them `means` and `inverse_stds` may be
// null.
template <int COUNT, class T>
__device__ inline void add_norm(const T *__restrict__ x, const T *__restrict__ residual,
                                const float *__restrict__ weight, const float *__restrict__ bias, float epsilon,
                                DropoutMask drop, T *__restrict__ sums, T *__restrict__ out, float *__restrict__ means,
                                float *__restrict__ inverse_stds, long long rows, int width) {
    const int warp = threadIdx.x / WARP, first = threadIdx.x % WARP * COUNT;
    const long long t = static_cast<long long>(blockIdx.x) * (blockDim.x / WARP) + warp;
    if (t >= rows) return;
    const long long start = t * width;
    float *row = room + warp * width;
    const float over = 1.0f / static_cast<float>(width);
    float total = 0.0f;
#pragma unroll COUNT
    for (int i = first; i < width; i += WARP * COUNT) {
        float y[COUNT];
        load(x + start + i, y);
        if (drop.threshold) {
#pragma unroll
            for (int k = 0; k < COUNT; k++) y[k] *= mask(start + i + k, drop);
        }
        if (residual) {
            float more[COUNT];
            load(residual + start + i, more);
#pragma unroll
            for (int k = 0; k < COUNT; k++) y[k] += more[k];
        }
        if (sums) store(sums + start + i, y);
        store(row + i, y);
#pragma unroll
        for (int k = 0; k < COUNT; k++) total += y[k];
    }
    const float mean = warp_sum(total) * over;
    float squares = 0.0f;
    for (int i = first; i < width; i += WARP * COUNT) {
        float y[COUNT];
        load(row + i, y);
#pragma unroll
        for (int k = 0; k < COUNT; k++) squares += (y[k] - mean) * (y[k] - mean);
    }
    const float inverse_std = 1.0f / sqrtf(warp_sum(squares) * over + epsilon);
    if (sums && first == 0) {
        means[t] = mean;
        inverse_stds[t] = inverse_std;
    }
#pragma unroll COUNT
    for (int i = first; i < width; i += WARP * COUNT) {
        float y[COUNT], scale[COUNT], shift[COUNT];
        load(row + i, y);
        load(weight + i, scale);
        load(bias + i, shift);
#pragma unroll
        for (int k = 0; k < COUNT; k++) y[k] = (y[k] - mean) * inverse_std * scale[k] + shift[k];
        store(out + start + i, y);
    }
}

// Warps take rows in turn. `room`: two rows of floats a warp, the sums over its rows for weight and bias; `parts`
// [blocks, 2, width] gets those of each block. `residual_gradient` may be null.
template <int COUNT, class T>
__device__ inline void add_norm_backward(const T *__restrict__ gradient, const T *__restrict__ sums,
                                         const float *__restrict__ weight, const float *__restrict__ means,
                                         const float *__restrict__ inverse_stds, DropoutMask drop,
                                         T *__restrict__ x_gradient, T *__restrict__ residual_gradient,
                                         float *__restrict__ parts, long long rows, int width) {
    const int warps = blockDim.x / WARP, warp = threadIdx.x / WARP, first = threadIdx.x % WARP * COUNT;
    float *weight_sums = room + warp * 2 * width, *bias_sums = weight_sums + width;
    for (int i = first; i < width; i += WARP * COUNT) {
        const float none[COUNT] = {};
        store(weight_sums + i, none);
        store(bias_sums + i, none);
    }
    const float over = 1.0f / static_cast<float>(width);
    const long long step = static_cast<long long>(gridDim.x) * warps;
    for (long long t = static_cast<long long>(blockIdx.x) * warps + warp; t < rows; t += step) {
        const long long start = t * width;
        const float mean = means[t], inverse_std = inverse_stds[t];
        float all = 0.0f, along = 0.0f;
#pragma unroll COUNT
        for (int i = first; i < width; i += WARP * COUNT) {
            float g[COUNT], normal[COUNT], scale[COUNT], weight_sum[COUNT], bias_sum[COUNT];
            load(gradient + start + i, g);
            load(sums + start + i, normal);
            load(weight + i, scale);
            load(weight_sums + i, weight_sum);
            load(bias_sums + i, bias_sum);
#pragma unroll
            for (int k = 0; k < COUNT; k++) {
                normal[k] = (normal[k] - mean) * inverse_std;
                weight_sum[k] += g[k] * normal[k];
                bias_sum[k] += g[k];
                all += g[k] * scale[k];
                along += g[k] * scale[k] * normal[k];
            }
            store(weight_sums + i, weight_sum);
            store(bias_sums + i, bias_sum);
        }
        const float mean_all = warp_sum(all) * over, mean_along = warp_sum(along) * over;
#pragma unroll COUNT
        for (int i = first; i < width; i += WARP * COUNT) {
            float g[COUNT], normal[COUNT], scale[COUNT], y[COUNT];
            load(gradient + start + i, g);
            load(sums + start + i, normal);
            load(weight + i, scale);
#pragma unroll
            for (int k = 0; k < COUNT; k++) {
                normal[k] = (normal[k] - mean) * inverse_std;
                y[k] = (g[k] * scale[k] - mean_all - normal[k] * mean_along) * inverse_std;
            }
            if (residual_gradient) store(residual_gradient + start + i, y);
            if (drop.threshold) {
#pragma unroll
                for (int k = 0; k < COUNT; k++) y[k] *= mask(start + i + k, drop);
            }
            store(x_gradient + start + i, y);
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 2 * width; i += blockDim.x) {
        float total = 0.0f;
        for (int from = 0; from < warps; from++) total += room[from * 2 * width + i];
        parts[static_cast<long long>(blockIdx.x) * 2 * width + i] = total;
    }
}

// ---- bias and GELU -------------------------------------------------------------------------------------------------

__device__ inline float gelu(float x, int by_tanh) {
    if (!by_tanh) return 0.5f * x * (1.0f + erff(0.70710678118654752f * x));
    return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}

__device__ inline float gelu_derivative(float x, int by_tanh) {
    if (!by_tanh) {
        return 0.5f * (1.0f + erff(0.70710678118654752f * x)) + x * 0.3989422804014327f * expf(-0.5f * x * x);
    }
    const float inner = tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x));
    const float inside = 0.7978845608028654f * (1.0f + 3.0f * 0.044715f * x * x);
    return 0.5f * (1.0f + inner) + 0.5f * x * (1.0f - inner * inner) * inside;
}

// A block takes `share` rows of blockDim · COUNT columns.
template <int COUNT, class T>
__device__ inline void bias_gelu(const T *__restrict__ x, const float *__restrict__ bias, int by_tanh,
                                 T *__restrict__ out, long long rows, int width, int share) {
    const int i = (blockIdx.y * blockDim.x + threadIdx.x) * COUNT;
    if (i >= width) return;
    const long long begin = static_cast<long long>(blockIdx.x) * share;
    const long long end = begin + share < rows ? begin + share : rows;
    float shift[COUNT];
    load(bias + i, shift);
#pragma unroll COUNT
    for (long long t = begin; t < end; t++) {
        float y[COUNT];
        load(x + t * width + i, y);
#pragma unroll
        for (int k = 0; k < COUNT; k++) y[k] = gelu(y[k] + shift[k], by_tanh);
        store(out + t * width + i, y);
    }
}

// The same; `parts` [shares, width] gets each share's sums for the bias.
template <int COUNT, class T>
__device__ inline void bias_gelu_backward(const T *__restrict__ x, const float *__restrict__ bias,
                                          const T *__restrict__ gradient, int by_tanh, T *__restrict__ x_gradient,
                                          float *__restrict__ parts, long long rows, int width, int share) {
    const int i = (blockIdx.y * blockDim.x + threadIdx.x) * COUNT;
    if (i >= width) return;
    const long long begin = static_cast<long long>(blockIdx.x) * share;
    const long long end = begin + share < rows ? begin + share : rows;
    float shift[COUNT], total[COUNT] = {};
    load(bias + i, shift);
#pragma unroll COUNT
    for (long long t = begin; t < end; t++) {
        float y[COUNT], g[COUNT];
        load(x + t * width + i, y);
        load(gradient + t * width + i, g);
#pragma unroll
        for (int k = 0; k < COUNT; k++) {
            g[k] *= gelu_derivative(y[k] + shift[k], by_tanh);
            total[k] += g[k];
        }
        store(x_gradient + t * width + i, g);
    }
    store(parts + static_cast<long long>(blockIdx.x) * width + i, total);
}

// ---- what is launched: fused.h has the same parameters -------------------------------------------------------------

// `by_four`: every row begins where four elements can be read at once.

#define KERNELS_OF(KIND, T)                                                                                           \
    extern "C" __global__ void rehead_dropout_##KIND(const void *x, DropoutMask drop, void *out, long long count,     \
                                                     int by_four) {                                                   \
        dropout(static_cast<const T *>(x), drop, static_cast<T *>(out), count, by_four);                              \
    }                                                                                                                 \
    extern "C" __global__ void rehead_add_norm_##KIND(                                                                \
        const void *x, const void *residual, const float *weight, const float *bias, float epsilon, DropoutMask drop, \
        void *sums, void *out, float *means, float *inverse_stds, long long rows, int width, int by_four) {           \
        const T *from = static_cast<const T *>(x), *added = static_cast<const T *>(residual);                         \
        T *to_sums = static_cast<T *>(sums), *to = static_cast<T *>(out);                                             \
        if (by_four) {                                                                                                \
            add_norm<4>(from, added, weight, bias, epsilon, drop, to_sums, to, means, inverse_stds, rows, width);     \
        } else {                                                                                                      \
            add_norm<1>(from, added, weight, bias, epsilon, drop, to_sums, to, means, inverse_stds, rows, width);     \
        }                                                                                                             \
    }                                                                                                                 \
    extern "C" __global__ void rehead_add_norm_backward_##KIND(                                                       \
        const void *gradient, const void *sums, const float *weight, const float *means, const float *inverse_stds,   \
        DropoutMask drop, void *x_gradient, void *residual_gradient, float *parts, long long rows, int width,         \
        int by_four) {                                                                                                \
        const T *from = static_cast<const T *>(gradient), *summed = static_cast<const T *>(sums);                     \
        T *to_x = static_cast<T *>(x_gradient), *to_residual = static_cast<T *>(residual_gradient);                   \
        if (by_four) {                                                                                                \
            add_norm_backward<4>(from, summed, weight, means, inverse_stds, drop, to_x, to_residual, parts, rows,     \
                                 width);                                                                              \
        } else {                                                                                                      \
            add_norm_backward<1>(from, summed, weight, means, inverse_stds, drop, to_x, to_residual, parts, rows,     \
                                 width);                                                                              \
        }                                                                                                             \
    }                                                                                                                 \
    extern "C" __global__ void rehead_bias_gelu_##KIND(const void *x, const float *bias, int by_tanh, void *out,      \
                                                       long long rows, int width, int share, int by_four) {           \
        const T *from = static_cast<const T *>(x);                                                                    \
        T *to = static_cast<T *>(out);                                                                                \
        if (by_four) {                                                                                                \
            bias_gelu<4>(from, bias, by_tanh, to, rows, width, share);                                                \
        } else {                                                                                                      \
            bias_gelu<1>(from, bias, by_tanh, to, rows, width, share);                                                \
        }                                                                                                             \
    }                                                                                                                 \
    extern "C" __global__ void rehead_bias_gelu_backward_##KIND(                                                      \
        const void *x, const float *bias, const void *gradient, int by_tanh, void *x_gradient, float *parts,          \
        long long rows, int width, int share, int by_four) {                                                          \
        const T *from = static_cast<const T *>(x), *gradients = static_cast<const T *>(gradient);                     \
        T *to = static_cast<T *>(x_gradient);                                                                         \
        if (by_four) {                                                                                                \
            bias_gelu_backward<4>(from, bias, gradients, by_tanh, to, parts, rows, width, share);                     \
        } else {                                                                                                      \
            bias_gelu_backward<1>(from, bias, gradients, by_tanh, to, parts, rows, width, share);                     \
        }                                                                                                             \
    }

#if !defined(ONLY_BF16)
KERNELS_OF(fp32, float)
#endif
#if !defined(ONLY_FP32)
KERNELS_OF(bf16, Bf16)
#endif
