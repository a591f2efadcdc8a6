// The sum of squares from which a gradient's norm comes. Part of kernels.cpp, inside its namespace.

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

double square_sum(Stored stored, const void *x, int64_t begin, int64_t end) {
    BY_KIND(stored, return square_sum_range(in<T>(x), begin, end))
}
