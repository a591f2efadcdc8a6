// Max pooling of images in channels-last memory, and backwards. Part of kernels.cpp, inside its namespace.

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

// The windows that cover `at`: the first, and the one after the last.
INLINE int64_t first_window(const Windows &w, int64_t at) {
    const int64_t beyond = at + w.padding - w.size;
    return beyond < 0 ? 0 : beyond / w.stride + 1;
}
INLINE int64_t last_window(const Windows &w, int64_t at, int64_t windows) {
    const int64_t last = (at + w.padding) / w.stride + 1;
    return last < windows ? last : windows;
}

template <class T>
INLINE void max_pool_backward_lines(const Windows &w, const T *gradient, const uint8_t *place, T *x_gradient,
                                    int64_t begin, int64_t end) {
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
                        const int64_t here =
                            (row - i * w.stride + w.padding) * w.size + column - j * w.stride + w.padding;
                        Ints mine = load_places(place + from, count) == static_cast<int32_t>(here);
                        sum += mine ? load_up_to(gradient + from, count) : Floats{};
                    }
                }
                store_up_to(x_gradient + (line * w.width + column) * w.channels + c, sum, count);
            }
        }
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
