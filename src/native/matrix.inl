// Products of matrices so small that calling a library would take longer: the heads of short sequences, and Winograd's
// tiles. Part of kernels.cpp, inside its namespace.

// As many rows and vectors of a result as the registers hold.
#if defined(__AVX512F__)
constexpr int TILE_ROWS = 6, TILE_VECTORS = 4;
#else
constexpr int TILE_ROWS = 3, TILE_VECTORS = 1;
#endif

// c (+)= a b for a tile: a[m, k] is at a + m·a_row + k·a_column; b and c have rows of b_row and c_row numbers.
template <int ROWS, int VECTORS, bool ADD>
INLINE void tile(const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row, float *c,
                 int64_t c_row, int64_t depth) {
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
INLINE void strip(const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row, float *c,
                  int64_t c_row, int64_t rows, int64_t depth) {
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
