// Dropout on the CPU. Part of kernels.cpp, inside its namespace.
//
// Whether element i is kept is a hash of (key, i): all cores draw at once, the backward pass draws the same again
// instead of keeping a mask, and the result does not depend on the number of threads.

// A 32-bit integer hash of low bias (multipliers from Chris Wellons, "Prospecting for hash functions", 2018).
INLINE Words draw(Words index, const DropoutMask &drop) {
    Words x = index ^ drop.key_low;
    x ^= x >> 16;
    x *= 0x21F0AAADu;
    x += drop.key_high;
    x ^= x >> 15;
    x *= 0x735A2D97u;
    x ^= x >> 15;
    return x;
}

// `scale` where the elements from `index` on are kept, 0 elsewhere.
INLINE Floats mask(int64_t index, const DropoutMask &drop) {
    const Words ramp = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    Words draws = draw(ramp + static_cast<uint32_t>(index), drop);
    return draws >= drop.threshold ? all(drop.scale) : Floats{};
}

template <class T>
INLINE void drop_range(const T *x, DropoutMask drop, T *out, int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + LANES <= end; i += LANES) store(out + i, load(x + i) * mask(i, drop));
    if (i < end) store_some(out + i, load_some(x + i, end - i) * mask(i, drop), end - i);
}

void dropout(Stored stored, const void *x, DropoutMask drop, void *out, int64_t begin, int64_t end) {
    BY_KIND(stored, drop_range(in<T>(x), drop, at<T>(out), begin, end))
}
