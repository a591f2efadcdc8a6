// Bytes of pixels to normalised numbers. Part of kernels.cpp, inside its namespace.

void normalise(const uint8_t *bytes, const float *means, const float *stds, float *out, int64_t begin, int64_t end) {
    constexpr int64_t CHANNELS = 3, TOGETHER = CHANNELS * LANES;  // 16 pixels
    float means_of_lanes[TOGETHER], stds_of_lanes[TOGETHER];
    for (int64_t i = 0; i < TOGETHER; i++) {
        means_of_lanes[i] = means[i % CHANNELS];
        stds_of_lanes[i] = stds[i % CHANNELS];
    }
    int64_t at = begin * CHANNELS;
    for (; at + TOGETHER <= end * CHANNELS; at += TOGETHER) {
        for (int64_t part = 0; part < TOGETHER; part += LANES) {
            Bytes read = *reinterpret_cast<const LooseBytes *>(bytes + at + part);
            Floats value = __builtin_convertvector(__builtin_convertvector(read, Ints), Floats);
            store(out + at + part, (value / 255.0f - load(means_of_lanes + part)) / load(stds_of_lanes + part));
        }
    }
    for (; at < end * CHANNELS; at++) {
        out[at] = (static_cast<float>(bytes[at]) / 255.0f - means[at % CHANNELS]) / stds[at % CHANNELS];
    }
}
