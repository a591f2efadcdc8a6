// Attention within each sequence of a packed batch, forwards and backwards. Part of kernels.cpp, inside its namespace.

// Query rows that are weighed together: their scores against all keys stay in the second-level cache.
constexpr int64_t BLOCK = 48;

// Rows as fp32, each times `factor` and filled up with zeros to `padded` columns.
template <class T>
INLINE void widen(const T *from, int64_t stride, int64_t rows, int64_t columns, int64_t padded, float factor,
                  float *to) {
    for (int64_t r = 0; r < rows; r++) {
        int64_t i = 0;
        for (; i + LANES <= columns; i += LANES) store(to + r * padded + i, load(from + r * stride + i) * factor);
        if (i < padded) store(to + r * padded + i, load_some(from + r * stride + i, columns - i) * factor);
    }
}

template <class T>
INLINE void narrow(const float *from, int64_t padded, int64_t rows, int64_t columns, float factor, T *to,
                   int64_t stride) {
    for (int64_t r = 0; r < rows; r++) {
        along(columns,
              [&](int64_t i, int64_t count) { put(to + r * stride + i, load(from + r * padded + i) * factor, count); });
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
    const int64_t d = a.dimension, padded = round_up(d);
    for (int64_t index = begin; index < end; index++) {
        const Task task(a, index);
        const int64_t across = round_up(task.keys);
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
                const float denominator = sum(total);
                if (log_sum) log_sum[task.head * a.queries + row + i] = most + __builtin_logf(denominator);
                queries[i] = 1.0f / denominator;  // the queries are spent
            }
            multiply<false>(scores, across, 1, values, padded, context, padded, count, padded, task.keys);
            for (int64_t i = 0; i < count; i++) {
                narrow(context + i * padded, padded, 1, d, queries[i], task.rows<T>(out, row + i, d), out.stride);
            }
        }
    }
}

template <class T>
INLINE void attend_backward(const Attention &a, Rows out, const float *log_sum, Rows gradient,
                            MutableRows query_gradient, MutableRows key_gradient, MutableRows value_gradient,
                            int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    const int64_t d = a.dimension, padded = round_up(d);
    for (int64_t index = begin; index < end; index++) {
        const Task task(a, index);
        const int64_t across = round_up(task.keys);
        scratch.reserve(5 * across * padded + BLOCK * (2 * across + 3 * padded));
        float *keys = scratch.take(across * padded), *keys_across = scratch.take(across * padded);
        float *values_across = scratch.take(across * padded);
        float *key_sums = scratch.take(across * padded), *value_sums = scratch.take(across * padded);
        float *queries = scratch.take(BLOCK * padded), *gradients = scratch.take(BLOCK * padded);
        float *rows = scratch.take(BLOCK * padded);
        float *weights = scratch.take(BLOCK * across), *score_gradients = scratch.take(BLOCK * across);

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
            multiply<false>(gradients, padded, 1, values_across, across, score_gradients, across, count, across, d);
            for (int64_t i = 0; i < count; i++) {
                Floats products{};
                for (int64_t k = 0; k < padded; k += LANES) {
                    products += load(gradients + i * padded + k) * load(rows + i * padded + k);
                }
                const float mean = sum(products), most = log_sum[task.head * a.queries + row + i];
                for (int64_t k = 0; k < across; k += LANES) {
                    float *weight_at = weights + i * across + k, *gradient_at = score_gradients + i * across + k;
                    Floats weight = cut(exponential(load(weight_at) - most), task.keys - k);
                    Floats score_gradient = load(gradient_at), kept = weight;
                    if (a.drop.threshold) {
                        Floats keep = mask(task.draws(q + i, a) + k, a.drop);
                        score_gradient *= keep;
                        kept *= keep;
                    }
                    store(gradient_at, weight * (score_gradient - mean));
                    store(weight_at, kept);
                }
            }
            multiply<true>(weights, 1, across, gradients, padded, value_sums, padded, task.keys, padded, count);
            multiply<true>(score_gradients, 1, across, queries, padded, key_sums, padded, task.keys, padded, count);
            multiply<false>(score_gradients, across, 1, keys, padded, rows, padded, count, padded, task.keys);
            narrow(rows, padded, count, d, inverse_root(d), task.rows<T>(query_gradient, row, d),
                   query_gradient.stride);
        }
        narrow(key_sums, padded, task.keys, d, 1.0f, task.rows<T>(key_gradient, task.keys_begin, d),
               key_gradient.stride);
        narrow(value_sums, padded, task.keys, d, 1.0f, task.rows<T>(value_gradient, task.keys_begin, d),
               value_gradient.stride);
    }
}

void attention(const Attention &a, MutableRows out, float *log_sum, int64_t begin, int64_t end) {
    BY_KIND(a.stored, attend<T>(a, out, log_sum, begin, end))
}

void attention_backward(const Attention &a, Rows out, const float *log_sum, Rows gradient, MutableRows query_gradient,
                        MutableRows key_gradient, MutableRows value_gradient, int64_t begin, int64_t end) {
    BY_KIND(a.stored,
            attend_backward<T>(a, out, log_sum, gradient, query_gradient, key_gradient, value_gradient, begin, end))
}
