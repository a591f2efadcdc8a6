// What libtorch has and tch lacks, as plain C functions over torch-sys's tensor pointers (each is an at::Tensor*).
// Every function catches C++ exceptions and returns the message (malloc'ed, freed by the caller) or null on success.
// No CUDA header is needed: the same object serves CPU and GPU.

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#if defined(__x86_64__) && defined(__linux__)
// One body, compiled for three instruction sets; the loader picks what the machine has.
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_CPU
#endif

namespace {

template <class Body>
char *guarded(Body body) {
    try {
        body();
        return nullptr;
    } catch (const std::exception &error) {
        return strdup(error.what());
    } catch (...) {
        return strdup("unknown C++ exception");
    }
}

std::vector<at::Tensor> list(at::Tensor **tensors, size_t count) {
    std::vector<at::Tensor> result;
    result.reserve(count);
    for (size_t i = 0; i < count; i++) result.push_back(*tensors[i]);
    return result;
}

// ---- dropout ------------------------------------------------------------------------------------------------------
// libtorch draws CPU dropout from one sequential generator in one thread. Here whether element i is kept is a hash of
// (key, i): all cores draw at once, the backward pass draws the same again instead of storing a mask, and the result
// does not depend on the number of threads.

struct Key {
    uint32_t first, second;
};

// splitmix64's finaliser, so that neighbouring keys give unrelated streams.
Key mix(uint64_t key) {
    key += 0x9E3779B97F4A7C15ull;
    key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9ull;
    key = (key ^ (key >> 27)) * 0x94D049BB133111EBull;
    key ^= key >> 31;
    return {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
}

// A 32-bit integer hash of low bias (multipliers from Chris Wellons, "Prospecting for hash functions", 2018).
inline uint32_t draw(uint32_t index, Key key) {
    uint32_t x = index ^ key.first;
    x ^= x >> 16;
    x *= 0x21F0AAADu;
    x += key.second;
    x ^= x >> 15;
    x *= 0x735A2D97u;
    x ^= x >> 15;
    return x;
}

FOR_EACH_CPU
void drop(const float *x, float *out, int64_t begin, int64_t end, Key key, uint32_t threshold, float scale) {
    for (int64_t i = begin; i < end; i++) {
        out[i] = draw(static_cast<uint32_t>(i), key) >= threshold ? x[i] * scale : 0.0f;
    }
}

FOR_EACH_CPU
void drop_add(const float *x, const float *residual, float *out, int64_t begin, int64_t end, Key key, uint32_t threshold,
              float scale) {
    for (int64_t i = begin; i < end; i++) {
        out[i] = residual[i] + (draw(static_cast<uint32_t>(i), key) >= threshold ? x[i] * scale : 0.0f);
    }
}

void drop(const at::BFloat16 *x, at::BFloat16 *out, int64_t begin, int64_t end, Key key, uint32_t threshold, float scale) {
    for (int64_t i = begin; i < end; i++) {
        out[i] = draw(static_cast<uint32_t>(i), key) >= threshold ? static_cast<float>(x[i]) * scale : 0.0f;
    }
}

void drop_add(const at::BFloat16 *x, const at::BFloat16 *residual, at::BFloat16 *out, int64_t begin, int64_t end, Key key,
              uint32_t threshold, float scale) {
    for (int64_t i = begin; i < end; i++) {
        float kept = draw(static_cast<uint32_t>(i), key) >= threshold ? static_cast<float>(x[i]) * scale : 0.0f;
        out[i] = static_cast<float>(residual[i]) + kept;
    }
}

template <class T>
void drop_all(const at::Tensor &x, const at::Tensor *residual, at::Tensor &out, Key key, uint32_t threshold, float scale) {
    const T *input = x.const_data_ptr<T>();
    const T *added = residual ? residual->const_data_ptr<T>() : nullptr;
    T *output = out.mutable_data_ptr<T>();
    at::parallel_for(0, x.numel(), 1 << 14, [&](int64_t begin, int64_t end) {
        if (added) {
            drop_add(input, added, output, begin, end, key, threshold, scale);
        } else {
            drop(input, output, begin, end, key, threshold, scale);
        }
    });
}

at::Tensor apply_dropout(const at::Tensor &x, const at::Tensor *residual, double p, uint64_t key) {
    at::Tensor input = x.contiguous();
    at::Tensor added = residual ? residual->contiguous() : at::Tensor();
    at::Tensor out = at::empty_like(input);
    auto threshold = static_cast<uint32_t>(p * 4294967296.0);
    auto scale = static_cast<float>(1.0 / (1.0 - p));
    const at::Tensor *added_pointer = residual ? &added : nullptr;
    if (input.scalar_type() == at::kFloat) {
        drop_all<float>(input, added_pointer, out, mix(key), threshold, scale);
    } else {
        drop_all<at::BFloat16>(input, added_pointer, out, mix(key), threshold, scale);
    }
    return out;
}

struct Dropout : torch::autograd::Function<Dropout> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, double p, int64_t key) {
        context->saved_data["p"] = p;
        context->saved_data["key"] = key;
        return apply_dropout(x, nullptr, p, static_cast<uint64_t>(key));
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   torch::autograd::variable_list gradients) {
        auto key = static_cast<uint64_t>(context->saved_data["key"].toInt());
        return {apply_dropout(gradients[0], nullptr, context->saved_data["p"].toDouble(), key), at::Tensor(), at::Tensor()};
    }
};

struct DropoutAdd : torch::autograd::Function<DropoutAdd> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, const at::Tensor &residual,
                              double p, int64_t key) {
        context->saved_data["p"] = p;
        context->saved_data["key"] = key;
        return apply_dropout(x, &residual, p, static_cast<uint64_t>(key));
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   torch::autograd::variable_list gradients) {
        auto key = static_cast<uint64_t>(context->saved_data["key"].toInt());
        at::Tensor inner = apply_dropout(gradients[0], nullptr, context->saved_data["p"].toDouble(), key);
        return {inner, gradients[0], at::Tensor(), at::Tensor()};
    }
};

bool drawn_here(const at::Tensor &x) {
    return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

}  // namespace

extern "C" {

// out = dropout(x) with probability p; whether an element is kept depends on (key, index) alone on the CPU.
char *rehead_dropout(at::Tensor *x, double p, uint64_t key, at::Tensor **out) {
    return guarded([&] {
        at::Tensor result =
            drawn_here(*x) ? Dropout::apply(*x, p, static_cast<int64_t>(key)) : at::dropout(*x, p, /*train=*/true);
        *out = new at::Tensor(std::move(result));
    });
}

// out = residual + dropout(x), in one pass over memory on the CPU.
char *rehead_dropout_add(at::Tensor *x, at::Tensor *residual, double p, uint64_t key, at::Tensor **out) {
    return guarded([&] {
        at::Tensor result = drawn_here(*x) && residual->scalar_type() == x->scalar_type()
                                ? DropoutAdd::apply(*x, *residual, p, static_cast<int64_t>(key))
                                : *residual + at::dropout(*x, p, /*train=*/true);
        *out = new at::Tensor(std::move(result));
    });
}

// One AdamW step (decoupled weight decay, Loshchilov & Hutter 2019) over all tensors at once, in place. `divisor`, a
// one-element tensor or null, divides the gradients: gradient clipping without a pass of its own and without waiting
// for the device.
char *rehead_fused_adamw(at::Tensor **parameters, at::Tensor **gradients, at::Tensor **first, at::Tensor **second,
                         at::Tensor **steps, size_t count, double learning_rate, double beta1, double beta2, double epsilon,
                         double weight_decay, at::Tensor *divisor) {
    return guarded([&] {
        at::NoGradGuard no_grad;
        std::optional<at::Tensor> scale;
        if (divisor) scale = *divisor;
        at::_fused_adamw_(list(parameters, count), list(gradients, count), list(first, count), list(second, count), {},
                          list(steps, count), learning_rate, beta1, beta2, weight_decay, epsilon, /*amsgrad=*/false,
                          /*maximize=*/false, scale);
    });
}

// The Euclidean norm of all tensors taken as one vector, as a one-element tensor on their device.
char *rehead_global_norm(at::Tensor **tensors, size_t count, at::Tensor **out) {
    return guarded([&] {
        at::NoGradGuard no_grad;
        auto norms = at::_foreach_norm(list(tensors, count), 2);
        *out = new at::Tensor(at::linalg_vector_norm(at::stack(norms), 2));
    });
}

// Drops the gradients (rather than filling them with zeros): the next backward pass hands its own over.
char *rehead_clear_gradients(at::Tensor **tensors, size_t count) {
    return guarded([&] {
        for (size_t i = 0; i < count; i++) tensors[i]->mutable_grad() = at::Tensor();
    });
}

// Whether operations must give the same bits every time (those that cannot then fail instead).
char *rehead_set_deterministic(int enabled) {
    return guarded([&] {
        at::globalContext().setDeterministicAlgorithms(enabled != 0, /*warn_only=*/false);
        at::globalContext().setBenchmarkCuDNN(enabled == 0);
    });
}

// Peak bytes that the accelerator's allocator has held on the device since the process began; 0 without one.
char *rehead_accelerator_peak_bytes(int device, int64_t *bytes) {
    return guarded([&] {
        *bytes = 0;
        if (!at::hasCUDA()) return;
        *bytes = at::getDeviceAllocator(at::kCUDA)->getDeviceStats(device).allocated_bytes[0].peak;
    });
}

}  // extern "C"
