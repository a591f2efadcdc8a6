// Dropout on tensors, with its gradient.

#pragma once

#include "tensors.h"

#include <mutex>

namespace {

// The key, mixed by splitmix64's finaliser so that neighbouring keys give unrelated draws.
rehead::DropoutMask dropout_mask(double p, uint64_t key) {
    rehead::DropoutMask drop;
    if (p <= 0.0) return drop;
    key += 0x9E3779B97F4A7C15ull;
    key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9ull;
    key = (key ^ (key >> 27)) * 0x94D049BB133111EBull;
    key ^= key >> 31;
    drop.key_low = static_cast<uint32_t>(key);
    drop.key_high = static_cast<uint32_t>(key >> 32);
    drop.threshold = static_cast<uint32_t>(p * 4294967296.0);
    drop.scale = static_cast<float>(1.0 / (1.0 - p));
    return drop;
}

// How the backward pass learns what the forward pass drew.
void remember(torch::autograd::AutogradContext *context, double p, uint64_t key) {
    context->saved_data["p"] = p;
    context->saved_data["key"] = static_cast<int64_t>(key);
}
rehead::DropoutMask remembered(torch::autograd::AutogradContext *context) {
    return dropout_mask(context->saved_data["p"].toDouble(), static_cast<uint64_t>(context->saved_data["key"].toInt()));
}

at::Tensor drop_elements(const at::Tensor &x, const rehead::DropoutMask &drop) {
    if (rehead::Launcher *launcher = rehead::launcher_for(x)) return rehead::fused_dropout(*launcher, x, drop);
    at::Tensor input = x.contiguous(), out = at::empty_like(input);
    at::parallel_for(0, input.numel(), ELEMENTS_A_SHARE, [&](int64_t begin, int64_t end) {
        rehead::kernels().dropout(stored_of(input), input.const_data_ptr(), drop, out.mutable_data_ptr(), begin, end);
    });
    return out;
}

struct Dropout : torch::autograd::Function<Dropout> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, double p, int64_t key) {
        remember(context, p, key);
        return drop_elements(x, dropout_mask(p, key));
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   torch::autograd::variable_list gradients) {
        return {drop_elements(gradients[0], remembered(context)), at::Tensor(), at::Tensor()};
    }
};

// What libtorch draws on a GPU from now on depends on the key alone.
void seed(const at::Device &device, uint64_t key) {
    if (!device.is_cuda()) return;
    at::Generator generator = at::globalContext().defaultGenerator(device);
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(key);
}

at::Tensor dropped(const at::Tensor &x, double p, uint64_t key) {
    if (p <= 0.0) return x;
    if (computed_here(x)) return Dropout::apply(x, p, static_cast<int64_t>(key));
    seed(x.device(), key);
    return at::dropout(x, p, /*train=*/true);
}

}  // namespace
