// How many threads each kernel of fused.cu gets, and the tensors that it reads and writes.

#include "fused.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <initializer_list>

namespace rehead {

namespace {

constexpr int GPUS = 128;
std::atomic<Launcher *> launchers[GPUS][2];
thread_local Launcher *stand_ins[2] = {nullptr, nullptr};

int number(Stored stored) { return stored == Stored::fp32 ? 0 : 1; }

// Every argument becomes what the kernel takes, and nothing else.
template <class... Parameters>
void launch(Launcher &launcher, FusedKernel<Parameters...> kernel, const Shape &shape,
            std::common_type_t<Parameters>... arguments) {
    void *pointers[] = {&arguments...};
    launcher.launch(kernel.index, shape, pointers);
}

// As the kernels read it: beside `x`, in rows without gaps, of this kind.
at::Tensor beside(const at::Tensor &x, const at::Tensor &tensor, at::ScalarType kind, int64_t elements) {
    TORCH_CHECK(tensor.device() == x.device() && tensor.numel() == elements,
                "a fused kernel got tensors that do not belong together");
    return tensor.to(kind).contiguous();
}

// Whether rows of `width` can be read in fours from these addresses.
bool by_four(int64_t width, std::initializer_list<const at::Tensor *> tensors) {
    if (width % 4 != 0) return false;
    for (const at::Tensor *tensor : tensors) {
        if (!tensor->defined()) continue;
        const auto address = reinterpret_cast<uintptr_t>(tensor->const_data_ptr());
        if (address % (4 * tensor->element_size()) != 0) return false;
    }
    return true;
}

int64_t shares(int64_t count, int64_t share) { return (count + share - 1) / share; }

const void *read(const at::Tensor &tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }
const float *read_floats(const at::Tensor &tensor) { return static_cast<const float *>(read(tensor)); }
void *write(const at::Tensor &tensor) { return tensor.defined() ? tensor.mutable_data_ptr() : nullptr; }
float *write_floats(const at::Tensor &tensor) { return static_cast<float *>(write(tensor)); }

constexpr int64_t WARP = 32, MOST_WARPS = 4;
// Floats that the threads of a block may share on every GPU (48 KiB).
constexpr int64_t ROOM = 12288;
static_assert(2 * WIDEST_NORM <= ROOM, "a warp needs two rows");

// Blocks of as many warps as find room for `rows` rows of floats each.
Shape warps_for(int64_t tasks, int64_t rows, int64_t width, int64_t most_blocks) {
    const int64_t warps = std::min(MOST_WARPS, ROOM / (rows * width));
    Shape shape;
    shape.threads = warps * WARP;
    shape.blocks = std::min(shares(tasks, warps), most_blocks);
    shape.shared_bytes = warps * rows * width * static_cast<int64_t>(sizeof(float));
    return shape;
}

// Enough blocks for all of a GPU; more would only mean more sums to add up afterwards. The same on every GPU, and so
// are its sums.
constexpr int64_t NORM_BLOCKS = 512;
constexpr int64_t NO_LIMIT = INT32_MAX;

// Blocks of `share` rows and as many columns as they have threads, for the activations.
constexpr int64_t COLUMN_THREADS = 128, FORWARD_SHARE = 8, BACKWARD_SHARE = 32;
Shape columns_for(int64_t rows, int64_t width, int64_t share, bool fours) {
    Shape shape;
    shape.threads = COLUMN_THREADS;
    shape.blocks = shares(rows, share);
    shape.blocks_across = shares(width, COLUMN_THREADS * (fours ? 4 : 1));
    return shape;
}

}  // namespace

Launcher *launcher_for(const at::Tensor &x) {
    if (x.scalar_type() != at::kFloat && x.scalar_type() != at::kBFloat16) return nullptr;
    const int kind = number(x.scalar_type() == at::kFloat ? Stored::fp32 : Stored::bf16);
    if (x.is_cpu()) return stand_ins[kind];
    const int gpu = x.device().index();
    return x.is_cuda() && gpu >= 0 && gpu < GPUS ? launchers[gpu][kind].load() : nullptr;
}

void set_launcher(int gpu, Stored stored, Launcher *launcher) {
    TORCH_CHECK(gpu >= 0 && gpu < GPUS, "there is no GPU ", gpu);
    launchers[gpu][number(stored)].store(launcher);
}

void stand_in(Stored stored, Launcher *launcher) { stand_ins[number(stored)] = launcher; }

at::Tensor fused_dropout(Launcher &launcher, const at::Tensor &x, const DropoutMask &drop) {
    at::Tensor input = x.contiguous(), out = at::empty_like(input);
    const int64_t count = input.numel();
    if (count == 0) return out;
    Shape shape;
    shape.threads = 256;
    shape.blocks = shares(count, 4 * shape.threads);
    launch(launcher, DROPOUT, shape, read(input), drop, write(out), count, by_four(4, {&input, &out}));
    return out;
}

Normed fused_add_norm(Launcher &launcher, const at::Tensor &x, const at::Tensor &residual, const at::Tensor &weight,
                      const at::Tensor &bias, double epsilon, const DropoutMask &drop, bool backward_will_come) {
    const int64_t width = x.size(-1), rows = x.numel() / std::max<int64_t>(width, 1);
    TORCH_CHECK(width >= 1 && width <= WIDEST_NORM, "no kernel normalises rows of ", width);
    const at::Tensor input = x.contiguous();
    const at::Tensor added = residual.defined() ? beside(x, residual, x.scalar_type(), x.numel()) : residual;
    const at::Tensor scale = beside(x, weight, at::kFloat, width), shift = beside(x, bias, at::kFloat, width);
    Normed result;
    result.out = at::empty_like(input);
    if (backward_will_come) {
        result.sum = at::empty_like(input);
        result.mean = at::empty({rows}, input.options().dtype(at::kFloat));
        result.inverse_std = at::empty_like(result.mean);
    }
    if (rows == 0) return result;
    launch(launcher, ADD_NORM, warps_for(rows, 1, width, NO_LIMIT), read(input), read(added), read_floats(scale),
           read_floats(shift), static_cast<float>(epsilon), drop, write(result.sum), write(result.out),
           write_floats(result.mean), write_floats(result.inverse_std), rows, width,
           by_four(width, {&input, &added, &scale, &shift, &result.sum, &result.out}));
    return result;
}

NormGradients fused_add_norm_backward(Launcher &launcher, const at::Tensor &gradient, const at::Tensor &sum,
                                      const at::Tensor &weight, const at::Tensor &mean, const at::Tensor &inverse_std,
                                      const DropoutMask &drop, bool residual) {
    const int64_t width = sum.size(-1), rows = mean.numel();
    const at::Tensor out_gradient = beside(sum, gradient, sum.scalar_type(), sum.numel());
    const at::Tensor scale = beside(sum, weight, at::kFloat, width);
    NormGradients result;
    result.x = at::empty_like(sum);
    at::Tensor apart;
    if (residual && drop.threshold) apart = at::empty_like(sum);
    if (residual) result.residual = apart.defined() ? apart : result.x;
    const Shape shape = warps_for(rows, 2, width, NORM_BLOCKS);
    at::Tensor parts = at::empty({shape.blocks, 2, width}, mean.options());
    if (rows > 0) {
        launch(launcher, ADD_NORM_BACKWARD, shape, read(out_gradient), read(sum), read_floats(scale), read_floats(mean),
               read_floats(inverse_std), drop, write(result.x), write(apart), write_floats(parts), rows, width,
               by_four(width, {&out_gradient, &sum, &scale, &result.x, &apart}));
    }
    const at::Tensor both = parts.sum(0);
    result.weight = both[0];
    result.bias = both[1];
    return result;
}

at::Tensor fused_bias_gelu(Launcher &launcher, const at::Tensor &x, const at::Tensor &bias, bool by_tanh) {
    const int64_t width = x.size(-1), rows = x.numel() / std::max<int64_t>(width, 1);
    const at::Tensor input = x.contiguous(), shift = beside(x, bias, at::kFloat, width);
    at::Tensor out = at::empty_like(input);
    if (x.numel() == 0) return out;
    const bool fours = by_four(width, {&input, &shift, &out});
    launch(launcher, BIAS_GELU, columns_for(rows, width, FORWARD_SHARE, fours), read(input), read_floats(shift),
           by_tanh, write(out), rows, width, FORWARD_SHARE, fours);
    return out;
}

BiasGeluGradients fused_bias_gelu_backward(Launcher &launcher, const at::Tensor &x, const at::Tensor &bias,
                                           const at::Tensor &gradient, bool by_tanh) {
    const int64_t width = x.size(-1), rows = x.numel() / std::max<int64_t>(width, 1);
    const at::Tensor input = x.contiguous(), shift = beside(x, bias, at::kFloat, width);
    const at::Tensor out_gradient = beside(x, gradient, x.scalar_type(), x.numel());
    BiasGeluGradients result;
    result.x = at::empty_like(input);
    at::Tensor parts = at::empty({shares(rows, BACKWARD_SHARE), width}, shift.options());
    const bool fours = by_four(width, {&input, &shift, &out_gradient, &result.x, &parts});
    if (x.numel() > 0) {
        launch(launcher, BIAS_GELU_BACKWARD, columns_for(rows, width, BACKWARD_SHARE, fours), read(input),
               read_floats(shift), read(out_gradient), by_tanh, write(result.x), write_floats(parts), rows, width,
               BACKWARD_SHARE, fours);
    }
    result.bias = parts.sum(0);
    return result;
}

}  // namespace rehead
