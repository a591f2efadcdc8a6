// Linear layers in 8 bits: packing of weights, quantising of inputs, and the product, by AVX-512 VNNI or by AMX. Part
// of kernels.cpp, inside its namespace.

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
                for (int64_t k = 0; k < inputs; k++)
                    most = __builtin_fabsf(from[k]) > most ? __builtin_fabsf(from[k]) : most;
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

void quantise_rows(const void *x, int64_t inputs, int64_t depth, uint8_t *bytes, float *scales, int64_t begin,
                   int64_t end) {
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
            // Adding 1.5·2²³ rounds to the nearest integer, which then stands in the low bits.
            Ints quantised = (Ints)(lanes * inverse + 12582912.0f) - 0x4B400000 + 128;
            __m128i low = _mm512_cvtepi32_epi8((__m512i)quantised);
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
        : scale(load(linear.scales + column)),
          bias(load(linear.bias + column)),
          offset((Ints)_mm512_loadu_si512(linear.offsets + column)),
          count(linear.outputs - column < LANES ? linear.outputs - column : LANES) {}

    INLINE void finish(Ints sums, float row_scale, bool gelu, Activation activation, Bf16 *out) const {
        Floats y = (Floats)_mm512_cvtepi32_ps((__m512i)(sums - offset)) * (scale * row_scale) + bias;
        if (gelu)
            y = activation == Activation::gelu ? activate_lanes<Activation::gelu>(y)
                                               : activate_lanes<Activation::gelu_tanh>(y);
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

void multiply_int8(const Int8Linear &linear, const uint8_t *bytes, const float *scales, bool gelu,
                   Activation activation, void *out, int64_t begin, int64_t end) {
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
                        outputs.finish(all_inputs, scales[row + m], gelu, activation, to + m * linear.outputs);
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
                      Activation activation, Bf16 *out) {
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
            outputs.finish((Ints)sums[m][n], row_scales[m], gelu, activation, out + m * linear.outputs + column);
        }
    }
}

void multiply_int8(const Int8Linear &linear, const uint8_t *bytes, const float *scales, bool gelu,
                   Activation activation, void *out, int64_t begin, int64_t end) {
    const int64_t panels = (linear.outputs + PANEL - 1) / PANEL;
    for (int64_t first = begin; first < end; first += NEAR) {
        const int64_t last = end - first < NEAR ? end : first + NEAR;
        for (int64_t panel = 0; panel < panels; panel++) {
            int64_t row = first;
            auto tile_at = [&](auto rows) {
                constexpr int ROWS = decltype(rows)::value;
                for (; row + ROWS <= last; row += ROWS) {
                    int8_tile<ROWS>(linear, panel, bytes + row * linear.depth, scales + row, gelu, activation,
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
