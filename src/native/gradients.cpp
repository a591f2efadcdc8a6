// The norm of gradients, and giving them up.

#include "tensors.h"

#include <algorithm>
#include <cmath>

extern "C" {

// The Euclidean norm of all tensors taken as one vector, as a one-element tensor on their device.
char *rehead_global_norm(at::Tensor **tensors, size_t count, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::global_norm", {});
        at::NoGradGuard no_grad;
        auto all = list(tensors, count);
        bool here = true;
        for (const at::Tensor &tensor : all) here = here && on_cpu(tensor) && tensor.is_contiguous();
        if (!here) {
            hand_over(at::linalg_vector_norm(at::stack(at::_foreach_norm(all, 2)), 2), out);
            return;
        }
        // Shares of fixed size, added in order: the same bits whatever the number of threads.
        constexpr int64_t SHARE = 1 << 16;
        struct Share {
            const at::Tensor *tensor;
            int64_t begin, end;
        };
        std::vector<Share> shares;
        for (const at::Tensor &tensor : all) {
            for (int64_t begin = 0; begin < tensor.numel(); begin += SHARE) {
                shares.push_back({&tensor, begin, std::min(begin + SHARE, tensor.numel())});
            }
        }
        std::vector<double> sums(shares.size());
        at::parallel_for(0, static_cast<int64_t>(shares.size()), 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; i++) {
                const Share &share = shares[i];
                sums[i] = rehead::kernels().square_sum(stored_of(*share.tensor), share.tensor->const_data_ptr(),
                                                       share.begin, share.end);
            }
        });
        double total = 0.0;
        for (double sum : sums) total += sum;
        hand_over(at::scalar_tensor(std::sqrt(total), at::kFloat).view({1}), out);
    });
}

// Drops the gradients (rather than filling them with zeros): the next backward pass hands its own over.
char *rehead_clear_gradients(at::Tensor **tensors, size_t count) {
    return guarded([&] {
        for (size_t i = 0; i < count; i++) tensors[i]->mutable_grad() = at::Tensor();
    });
}

}  // extern "C"
