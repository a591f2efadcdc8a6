// The kernels of fused.cu as functions of tensors, whoever runs them: a GPU (nvrtc.cpp), or the CPU in a test
// (emulation.cpp). No autograd here: the files named .cpp above this folder have that, alike for these kernels and the
// CPU's.

#pragma once

#include <ATen/core/Tensor.h>

#include "../kernels.h"

namespace rehead {

// A kernel, with the parameters that fused.cu gives it.
template <class... Parameters>
struct FusedKernel {
    int index;
};

constexpr FusedKernel<const void *, DropoutMask, void *, long long, int> DROPOUT{0};
constexpr FusedKernel<const void *, const void *, const float *, const float *, float, DropoutMask, void *, void *,
                      float *, float *, long long, int, int>
    ADD_NORM{1};
constexpr FusedKernel<const void *, const void *, const float *, const float *, const float *, DropoutMask, void *,
                      void *, float *, long long, int, int>
    ADD_NORM_BACKWARD{2};
constexpr FusedKernel<const void *, const float *, int, void *, long long, int, int, int> BIAS_GELU{3};
constexpr FusedKernel<const void *, const float *, const void *, int, void *, float *, long long, int, int, int>
    BIAS_GELU_BACKWARD{4};

// By index; fused.cu adds the stored kind, `_fp32` or `_bf16`.
constexpr const char *FUSED_NAMES[] = {"rehead_dropout", "rehead_add_norm", "rehead_add_norm_backward",
                                       "rehead_bias_gelu", "rehead_bias_gelu_backward"};
constexpr int FUSED_KERNELS = sizeof(FUSED_NAMES) / sizeof(*FUSED_NAMES);

// How many threads run a kernel, and the bytes of `room` that a block of them shares.
struct Shape {
    int64_t blocks = 1, blocks_across = 1, threads = 1, shared_bytes = 0;
};

// Runs the kernels on elements of one kind on one device.
class Launcher {
  public:
    virtual ~Launcher() = default;
    // In the order of the device's current stream. `arguments` points to each of the kernel's parameters.
    virtual void launch(int kernel, const Shape &shape, void **arguments) = 0;
};

// Whoever runs the kernels on such tensors; null: nobody.
Launcher *launcher_for(const at::Tensor &x);
// Sets that for a GPU; null takes it away.
void set_launcher(int gpu, Stored stored, Launcher *launcher);
// Sets that for tensors on the CPU, in this thread alone: for tests.
void stand_in(Stored stored, Launcher *launcher);

// What a layer norm gives; `sum`, `mean` and `inverse_std` are for the backward pass alone.
struct Normed {
    at::Tensor sum, out, mean, inverse_std;
};
// Gradients of a layer norm. `residual` is `x` when they are the same; weight and bias have fp32.
struct NormGradients {
    at::Tensor x, residual, weight, bias;
};
struct BiasGeluGradients {
    at::Tensor x, bias;
};

at::Tensor fused_dropout(Launcher &launcher, const at::Tensor &x, const DropoutMask &drop);
Normed fused_add_norm(Launcher &launcher, const at::Tensor &x, const at::Tensor &residual, const at::Tensor &weight,
                      const at::Tensor &bias, double epsilon, const DropoutMask &drop, bool backward_will_come);
NormGradients fused_add_norm_backward(Launcher &launcher, const at::Tensor &gradient, const at::Tensor &sum,
                                      const at::Tensor &weight, const at::Tensor &mean, const at::Tensor &inverse_std,
                                      const DropoutMask &drop, bool residual);
// GELU(x + bias), x of any number of rows.
at::Tensor fused_bias_gelu(Launcher &launcher, const at::Tensor &x, const at::Tensor &bias, bool by_tanh);
BiasGeluGradients fused_bias_gelu_backward(Launcher &launcher, const at::Tensor &x, const at::Tensor &bias,
                                           const at::Tensor &gradient, bool by_tanh);

}  // namespace rehead
