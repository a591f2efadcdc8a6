// The CPU kernels of kernels.cpp as a table, one a set of instructions. Plain pointers and numbers: no tensor is known
// here. Every kernel works on a range of rows or tasks, so that the caller decides how the cores share them, and gives
// the same bits however they do.

#pragma once

#include <cstddef>
#include <cstdint>

namespace rehead {

// How elements are stored. Arithmetic is fp32 throughout.
enum class Stored { fp32, bf16 };

// Which elements a dropout keeps: a function of (key, index of the element) alone.
struct DropoutMask {
    uint32_t key_low = 0, key_high = 0;  // the key, mixed
    uint32_t threshold = 0;              // an element whose draw is below it is dropped
    float scale = 1.0f;                  // of what is kept: 1 / (1 - p)
};

// A matrix in memory: rows `stride` elements apart.
struct Rows {
    const void *data;
    int64_t stride;
};
struct MutableRows {
    void *data;
    int64_t stride;
};

// Layer norms over more values are not for these kernels.
constexpr int64_t WIDEST_NORM = 4096;

// Attention within each sequence of a packed batch, softmax(QKᵀ/√d)V. Sequence s has the key rows offsets[s] to
// offsets[s+1]; its queries are the same rows, or, with `first_only`, row s alone. Head h has the columns h·d to
// (h+1)·d.
struct Attention {
    Stored stored;
    Rows query, key, value;
    const int64_t *offsets;
    int64_t sequences, heads, dimension, queries;  // queries: rows of `query` in all
    bool first_only;
    DropoutMask drop;
};

// The activations of a feed-forward block that have kernels of their own.
enum class Activation { gelu, gelu_tanh };

// The hyperparameters and bias corrections of an AdamW step.
struct AdamwCoefficients {
    float learning_rate, beta1, beta2, epsilon, weight_decay;
    float correction1, correction2_root;  // 1 - beta1^t, and the root of 1 - beta2^t
};

// A linear layer in 8 bits: y = x Wᵀ + b. Weights have a scale for each output, in panels of 64 outputs, each `depth /
// 4` steps of 64 × 4 bytes. Inputs are quantised row by row, so that a row's result does not depend on its neighbours:
// a byte is 128 + x / scale, and `offset` (128 times the sum of an output's weights) takes the 128 out again.
struct Int8Linear {
    const int8_t *panels;
    const float *scales, *bias;  // of outputs, up to whole panels
    const int32_t *offsets;
    int64_t inputs, outputs, depth;  // depth: inputs up to a multiple of 64
};

// Windows that move over images in channels-last memory, [images, height, width, channels].
struct Windows {
    int64_t height, width, channels, out_height, out_width, size, stride, padding;
};
// Where in its window a maximum stood must fit into a byte.
constexpr int64_t WIDEST_WINDOW = 15;

// Outputs whose weights lie together, in 8 bits and for Winograd's algorithm.
constexpr int64_t PANEL = 64;

// Winograd's algorithm serves convolutions whose numbers of input and output channels are multiples of this.
constexpr int64_t WINOGRAD_CHANNELS = 16;

// The weights of a convolution of 3 × 3: the strides of their values in memory.
struct WinogradWeight {
    int64_t inputs, outputs, input_stride, output_stride, down_stride, across_stride;
};

// A convolution of 3 × 3 with stride 1 over images in channels-last memory.
struct Winograd {
    int64_t height, width, inputs, out_height, out_width, outputs, padding_down, padding_across;
    bool relu;
};

struct Kernels {
    const char *name;

    // `rows` of `width`: sum = residual + dropout(x) (no residual: null), out = normalised sum · weight + bias.
    // `sum` (may be null), `mean` and `inverse_std` are what the backward pass needs.
    void (*add_norm)(Stored, const void *x, const void *residual, const float *weight, const float *bias, float epsilon,
                     DropoutMask, void *sum, void *out, float *mean, float *inverse_std, int64_t begin, int64_t end,
                     int64_t width);
    // From the gradient of `out` those of x and of the residual (either may be null), and sums over the rows for weight
    // and bias, which are added to `weight_gradient` and `bias_gradient`.
    void (*add_norm_backward)(Stored, const void *gradient, const void *sum, const float *weight, const float *mean,
                              const float *inverse_std, DropoutMask, void *x_gradient, void *residual_gradient,
                              float *weight_gradient, float *bias_gradient, int64_t begin, int64_t end, int64_t width);

    // Element by element.
    void (*activate)(Stored, Activation, const void *x, void *out, int64_t begin, int64_t end);
    void (*activate_backward)(Stored, Activation, const void *x, const void *gradient, void *x_gradient, int64_t begin,
                              int64_t end);
    void (*dropout)(Stored, const void *x, DropoutMask, void *out, int64_t begin, int64_t end);

    // Tasks are (head, sequence) pairs, head · sequences + sequence. `log_sum` is [heads, queries]; null when no
    // backward pass will come.
    void (*attention)(const Attention &, MutableRows out, float *log_sum, int64_t begin, int64_t end);
    void (*attention_backward)(const Attention &, Rows out, const float *log_sum, Rows gradient,
                               MutableRows query_gradient, MutableRows key_gradient, MutableRows value_gradient,
                               int64_t begin, int64_t end);

    // AdamW on rows begin to end of the list `rows` of a table of `width` columns. A row has had `last[row]` steps;
    // those from then on (`coefficients[0]` is step `first_step`'s) up to and with `step` are done now: without a
    // gradient, but for the last one when `gradient` (a row for each of the list, divided by `divisor`) is not null.
    void (*adamw_rows)(float *parameter, float *exp_avg, float *exp_avg_sq, uint32_t *last, const int64_t *rows,
                       const float *gradient, float divisor, const AdamwCoefficients *coefficients, uint32_t first_step,
                       uint32_t step, int64_t begin, int64_t end, int64_t width);
    // 8 bits; null where the CPU has no instructions for them. Weights [outputs, inputs] become panels, a panel at a
    // time.
    void (*pack_int8)(const float *weight, int64_t inputs, int64_t outputs, int64_t depth, int8_t *panels,
                      float *scales, int32_t *offsets, int64_t begin, int64_t end);
    void (*quantise_rows)(const void *x, int64_t inputs, int64_t depth, uint8_t *bytes, float *scales, int64_t begin,
                          int64_t end);
    // Rows begin to end of the product, in bf16, through GELU when asked to.
    void (*multiply_int8)(const Int8Linear &, const uint8_t *bytes, const float *scales, bool gelu, Activation,
                          void *out, int64_t begin, int64_t end);
    // Pixels begin to end of three channels: (byte / 255 - mean) / std.
    void (*normalise)(const uint8_t *bytes, const float *means, const float *stds, float *out, int64_t begin,
                      int64_t end);
    // The largest of each window, not-a-number above all. Lines begin to end of the result, counted through all images.
    // `place` gets where in its window each stood, the first of equals; null when no backward pass will come.
    void (*max_pool)(Stored, const Windows &, const void *x, void *out, uint8_t *place, int64_t begin, int64_t end);
    // Lines begin to end of the gradient of x.
    void (*max_pool_backward)(Stored, const Windows &, const void *gradient, const uint8_t *place, void *x_gradient,
                              int64_t begin, int64_t end);
    // Convolutions of 3 × 3 by Winograd's algorithm (null without wide vectors): whether in bf16, too. `panels`, of
    // 16 · inputs · outputs values, gets the weights of 64 outputs a panel, the panels begin to end.
    bool winograd_bf16;
    void (*winograd_weight)(Stored, const WinogradWeight &, const float *weight, void *panels, int64_t begin,
                            int64_t end);
    // Tiles begin to end of the result, 2 × 2 places each, line by line through all images: plus `bias`, plus `added`
    // (both may be null; `added` may be `out`), through a ReLU if asked for.
    void (*winograd)(Stored, const Winograd &, const void *x, const void *panels, const void *bias, const void *added,
                     void *out, int64_t begin, int64_t end);
    // Sum of squares of a range, in fp64.
    double (*square_sum)(Stored, const void *x, int64_t begin, int64_t end);
};

// The fastest kernels that this CPU can run.
const Kernels &kernels();

}  // namespace rehead
