// Convolutions of 3 × 3 with stride 1 by Winograd's F(2 × 2, 3 × 3) (Lavin and Gray, "Fast Algorithms for Convolutional
// Neural Networks", 2016): a tile of 2 × 2 results needs 16 products a pair of channels where the definition takes 36.
// A tile's 4 × 4 numbers are transformed (sums and differences alone), multiplied with the transformed weights as 16
// matrix products over the channels, and transformed back. Part of kernels.cpp, inside its namespace.

// Places in a transformed tile.
constexpr int64_t PLACES = 16;
// Numbers of the weights of so many outputs: a panel, of which the last may be narrower, or all panels before one.
constexpr int64_t numbers_of(int64_t inputs, int64_t outputs) { return PLACES * inputs * outputs; }

// Products of transformed tiles `a` with a panel's weights at one place, `b`. In bf16 weights lie in pairs of inputs.
template <int VECTORS>
INLINE void place_product(const float *a, int64_t a_row, const float *b, float *c, int64_t rows, int64_t inputs) {
    multiply<false>(a, a_row, 1, b, VECTORS * LANES, c, VECTORS * LANES, rows, VECTORS * LANES, inputs);
}
INLINE int64_t place_in_panel(const float *, int64_t input, int64_t column, int64_t width) {
    return input * width + column;
}

#if defined(__AVX512BF16__)

template <int ROWS, int VECTORS>
INLINE void bf16_tile(const Bf16 *a, int64_t a_row, const Bf16 *b, float *c, int64_t inputs) {
    __m512 sums[ROWS][VECTORS];
#pragma GCC unroll 8
    for (int m = 0; m < ROWS; m++) {
#pragma GCC unroll 8
        for (int n = 0; n < VECTORS; n++) sums[m][n] = _mm512_setzero_ps();
    }
    for (int64_t k = 0; k < inputs; k += 2) {
        __m512bh right[VECTORS];
#pragma GCC unroll 8
        for (int n = 0; n < VECTORS; n++) right[n] = (__m512bh)_mm512_loadu_si512(b + (k * VECTORS + 2 * n) * LANES);
#pragma GCC unroll 8
        for (int m = 0; m < ROWS; m++) {
            int32_t two;
            __builtin_memcpy(&two, a + m * a_row + k, sizeof two);
            const __m512bh left = (__m512bh)_mm512_set1_epi32(two);
#pragma GCC unroll 8
            for (int n = 0; n < VECTORS; n++) sums[m][n] = _mm512_dpbf16_ps(sums[m][n], left, right[n]);
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < ROWS; m++) {
#pragma GCC unroll 8
        for (int n = 0; n < VECTORS; n++) _mm512_storeu_ps(c + (m * VECTORS + n) * LANES, sums[m][n]);
    }
}

template <int VECTORS>
INLINE void place_product(const Bf16 *a, int64_t a_row, const Bf16 *b, float *c, int64_t rows, int64_t inputs) {
    int64_t row = 0;
    auto tile_at = [&](auto together) {
        constexpr int ROWS = decltype(together)::value;
        for (; row + ROWS <= rows; row += ROWS) {
            bf16_tile<ROWS, VECTORS>(a + row * a_row, a_row, b, c + row * VECTORS * LANES, inputs);
        }
    };
    tile_at(Constant<6>{});
    tile_at(Constant<2>{});
    tile_at(Constant<1>{});
}
INLINE int64_t place_in_panel(const Bf16 *, int64_t input, int64_t column, int64_t width) {
    return (input / 2 * width + column) * 2 + input % 2;
}

#endif

INLINE void round_to(float *to, float value) { *to = value; }
INLINE void round_to(Bf16 *to, float value) { store_some(to, all(value), 1); }

// Weights [outputs, inputs, 3, 3] with such strides, transformed: panel by panel, place by place, input by input. Of
// the panels begin to end.
template <class T>
INLINE void winograd_panels(const float *weight, const WinogradWeight &w, T *panels, int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; panel++) {
        const int64_t first = panel * PANEL, width = w.outputs - first < PANEL ? w.outputs - first : PANEL;
        T *to = panels + numbers_of(w.inputs, first);
        for (int64_t column = 0; column < width; column++) {
            for (int64_t input = 0; input < w.inputs; input++) {
                const float *from = weight + (first + column) * w.output_stride + input * w.input_stride;
                float lines[4][3];
                for (int64_t i = 0; i < 3; i++) {
                    const float a = from[i * w.across_stride], b = from[w.down_stride + i * w.across_stride];
                    const float c = from[2 * w.down_stride + i * w.across_stride];
                    lines[0][i] = a;
                    lines[1][i] = 0.5f * (a + b + c);
                    lines[2][i] = 0.5f * (a - b + c);
                    lines[3][i] = c;
                }
                T *place = to + place_in_panel(to, input, column, width);
                for (int64_t i = 0; i < 4; i++) {
                    const float a = lines[i][0], b = lines[i][1], c = lines[i][2];
                    const float places[4] = {a, 0.5f * (a + b + c), 0.5f * (a - b + c), c};
                    for (int64_t j = 0; j < 4; j++) round_to(place + (4 * i + j) * w.inputs * width, places[j]);
                }
            }
        }
    }
}

// Where a tile's results lie.
struct Tile {
    int64_t image, row, column;

    INLINE Tile(const Winograd &w, int64_t index) {
        const int64_t down = (w.out_height + 1) / 2, across = (w.out_width + 1) / 2;
        image = index / (down * across);
        row = index / across % down * 2;
        column = index % across * 2;
    }
};

// The 4 × 4 numbers of a tile for all inputs, transformed; the places are `plane` numbers apart.
template <class T>
INLINE void spread_tile(const Winograd &w, const T *x, const T *zeros, const Tile &tile, T *to, int64_t plane) {
    const T *from[4][4];
    int64_t step[4][4];  // of the pointers, from vector to vector: beyond the edge zeros stay
    for (int64_t i = 0; i < 4; i++) {
        for (int64_t j = 0; j < 4; j++) {
            const int64_t row = tile.row - w.padding_down + i, column = tile.column - w.padding_across + j;
            const bool within = row >= 0 && row < w.height && column >= 0 && column < w.width;
            from[i][j] = within ? x + ((tile.image * w.height + row) * w.width + column) * w.inputs : zeros;
            step[i][j] = within ? 1 : 0;
        }
    }
    for (int64_t c = 0; c < w.inputs; c += LANES) {
        Floats lines[4][4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            const Floats a = load(from[0][j] + c * step[0][j]), b = load(from[1][j] + c * step[1][j]);
            const Floats d = load(from[2][j] + c * step[2][j]), e = load(from[3][j] + c * step[3][j]);
            lines[0][j] = a - d;
            lines[1][j] = b + d;
            lines[2][j] = d - b;
            lines[3][j] = b - e;
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            T *place = to + 4 * i * plane + c;
            store(place, lines[i][0] - lines[i][2]);
            store(place + plane, lines[i][1] + lines[i][2]);
            store(place + 2 * plane, lines[i][2] - lines[i][1]);
            store(place + 3 * plane, lines[i][1] - lines[i][3]);
        }
    }
}

// A tile's 2 × 2 results for the outputs of a panel, from the products at `from`, with what follows the convolution.
template <class T>
INLINE void gather_tile(const Winograd &w, const float *from, int64_t plane, const Tile &tile, int64_t first,
                        int64_t width, const T *bias, const T *added, T *out) {
    const int64_t rows = w.out_height - tile.row < 2 ? 1 : 2, columns = w.out_width - tile.column < 2 ? 1 : 2;
    const int64_t start = ((tile.image * w.out_height + tile.row) * w.out_width + tile.column) * w.outputs + first;
    for (int64_t c = 0; c < width; c += LANES) {
        Floats lines[2][4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            const float *place = from + j * plane + c;
            const Floats a = load(place), b = load(place + 4 * plane), d = load(place + 8 * plane),
                         e = load(place + 12 * plane);
            lines[0][j] = a + b + d;
            lines[1][j] = b - d - e;
        }
        const Floats shift = bias ? load(bias + first + c) : Floats{};
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
            if (i >= rows) break;
            const Floats results[2] = {lines[i][0] + lines[i][1] + lines[i][2] + shift,
                                       lines[i][1] - lines[i][2] - lines[i][3] + shift};
#pragma GCC unroll 2
            for (int j = 0; j < 2; j++) {
                if (j >= columns) break;
                const int64_t at = start + (i * w.out_width + j) * w.outputs + c;
                Floats y = results[j];
                if (added) y += load(added + at);
                // Not-a-number stays so.
                if (w.relu) y = y < Floats{} ? Floats{} : y;
                store(out + at, y);
            }
        }
    }
}

template <class T>
INLINE void winograd_tiles(const Winograd &w, const T *x, const T *panels, const T *bias, const T *added, T *out,
                           int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    // As many tiles as leave room in the second-level cache for the weights that pass.
    const int64_t together = w.inputs >= 128 ? 24 : 48;
    // A little more than the tiles need: places whose addresses agree in their last 12 bits would be in each other's
    // way.
    const int64_t plane = together * w.inputs + 32, result_plane = together * PANEL + 16;
    scratch.reserve(PLACES * (plane + result_plane) + LANES);
    T *spread = reinterpret_cast<T *>(scratch.take(PLACES * plane));
    float *results = scratch.take(PLACES * result_plane), *nothing = scratch.take(LANES);
    fill(nothing, LANES);
    const T *zeros = reinterpret_cast<const T *>(nothing);
    for (int64_t first = begin; first < end; first += together) {
        const int64_t count = end - first < together ? end - first : together;
        for (int64_t i = 0; i < count; i++) spread_tile(w, x, zeros, Tile(w, first + i), spread + i * w.inputs, plane);
        auto panel_of = [&](int64_t output, auto vectors) {
            constexpr int VECTORS = decltype(vectors)::value;
            constexpr int64_t WIDTH = VECTORS * LANES;
            for (int64_t place = 0; place < PLACES; place++) {
                const T *weights = panels + numbers_of(w.inputs, output) + place * w.inputs * WIDTH;
                place_product<VECTORS>(spread + place * plane, w.inputs, weights, results + place * result_plane, count,
                                       w.inputs);
            }
            for (int64_t i = 0; i < count; i++) {
                gather_tile(w, results + i * WIDTH, result_plane, Tile(w, first + i), output, WIDTH, bias, added, out);
            }
        };
        int64_t output = 0;
        for (; output + PANEL <= w.outputs; output += PANEL) panel_of(output, Constant<4>{});
        switch ((w.outputs - output) / LANES) {
            case 3: panel_of(output, Constant<3>{}); break;
            case 2: panel_of(output, Constant<2>{}); break;
            case 1: panel_of(output, Constant<1>{}); break;
        }
    }
}

// ---- for the table --------------------------------------------------------------------------------------------------

// In bf16 vectors would be slower than any other way without instructions for it, and than oneDNN's matrix units (3.5
// times).
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

void winograd_weight([[maybe_unused]] Stored stored, const WinogradWeight &w, const float *weight, void *panels,
                     int64_t begin, int64_t end) {
    BY_WINOGRAD_KIND(stored, winograd_panels(weight, w, at<T>(panels), begin, end))
}

void winograd([[maybe_unused]] Stored stored, const Winograd &w, const void *x, const void *panels, const void *bias,
              const void *added, void *out, int64_t begin, int64_t end) {
    BY_WINOGRAD_KIND(stored,
                     winograd_tiles(w, in<T>(x), in<T>(panels), in<T>(bias), in<T>(added), at<T>(out), begin, end))
}
