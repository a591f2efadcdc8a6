// Bytes of pixels to normalised numbers.

#include "tensors.h"

extern "C" {

// `pixels` times three bytes as fp32 numbers, (byte / 255 - means) / stds by channel, into `out`.
char *rehead_normalise(const uint8_t *bytes, int64_t pixels, const float *means, const float *stds, at::Tensor *out) {
    return guarded([&] {
        TORCH_CHECK(out->numel() == 3 * pixels && out->is_contiguous(), "pixels need a tensor of their size");
        float *numbers = out->mutable_data_ptr<float>();
        at::parallel_for(0, pixels, ELEMENTS_A_SHARE, [&](int64_t begin, int64_t end) {
            rehead::kernels().normalise(bytes, means, stds, numbers, begin, end);
        });
    });
}

}  // extern "C"
