// What libtorch has and tch lacks, as plain C functions over torch-sys's tensor pointers (each is an at::Tensor*).
// Every function catches C++ exceptions and returns the message (malloc'ed, freed by the caller) or null on success.
// No CUDA header is needed: the same object serves CPU and GPU.

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <ATen/cpu/Utils.h>
#include <ATen/record_function.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <torch/csrc/autograd/custom_function.h>

#include "fused.h"
#include "kernels.h"

#if defined(REHEAD_X86)
#include <cpuid.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

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

}  // namespace

// ---- which kernels this CPU can run ------------------------------------------------------------------------------------

namespace rehead {
namespace generic {
extern const Kernels table;
}
#if defined(REHEAD_X86)
namespace avx2 {
extern const Kernels table;
}
namespace avx512 {
extern const Kernels table;
}
namespace avx512_bf16 {
extern const Kernels table;
}
namespace amx {
extern const Kernels table;
}

// Whether the CPU has matrix units for 8 bits, and the system lets this process use them.
bool has_int8_tiles() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 25 & 1) && at::cpu::init_amx();
}
#endif

const Kernels &kernels() {
    // REHEAD_KERNELS names the best that may be chosen: tests go through those that this CPU would not take by itself.
    static const Kernels &chosen = []() -> const Kernels & {
        const char *wanted = std::getenv("REHEAD_KERNELS");
        bool allowed = wanted == nullptr;
        auto may_be = [&](const Kernels &table, bool runs) {
            allowed = allowed || std::strcmp(wanted, table.name) == 0;
            return allowed && runs;
        };
#if defined(REHEAD_X86)
        __builtin_cpu_init();
        const bool v4 = __builtin_cpu_supports("x86-64-v4");
        const bool newer = v4 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
        if (may_be(amx::table, newer && has_int8_tiles())) return amx::table;
        if (may_be(avx512_bf16::table, newer)) return avx512_bf16::table;
        if (may_be(avx512::table, v4)) return avx512::table;
        if (may_be(avx2::table, __builtin_cpu_supports("x86-64-v3"))) return avx2::table;
#endif
        return generic::table;
    }();
    return chosen;
}

}  // namespace rehead

namespace {

// ---- the encoder's own kernels -----------------------------------------------------------------------------------------
// On the CPU in fp32 and bf16 they are kernels.cpp's, on a GPU fused.cu's once they are loaded; elsewhere libtorch's operations
// give the same.

bool on_cpu(const at::Tensor &x) {
    return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

bool computed_here(const at::Tensor &x) { return on_cpu(x) || rehead::launcher_for(x) != nullptr; }

rehead::Stored stored_of(const at::Tensor &x) {
    return x.scalar_type() == at::kFloat ? rehead::Stored::fp32 : rehead::Stored::bf16;
}

bool wants_gradient(std::initializer_list<const at::Tensor *> tensors) {
    if (!at::GradMode::is_enabled()) return false;
    for (const at::Tensor *tensor : tensors) {
        if (tensor->defined() && tensor->requires_grad()) return true;
    }
    return false;
}

// The key, mixed by splitmix64's finaliser so that neighbouring keys give unrelated draws.
rehead::Drop drop_of(double p, uint64_t key) {
    rehead::Drop drop;
    if (p <= 0.0) return drop;
    key += 0x9E3779B97F4A7C15ull;
    key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9ull;
    key = (key ^ (key >> 27)) * 0x94D049BB133111EBull;
    key ^= key >> 31;
    drop.first = static_cast<uint32_t>(key);
    drop.second = static_cast<uint32_t>(key >> 32);
    drop.threshold = static_cast<uint32_t>(p * 4294967296.0);
    drop.scale = static_cast<float>(1.0 / (1.0 - p));
    return drop;
}

// How the backward pass learns what the forward pass drew.
void remember(torch::autograd::AutogradContext *context, double p, uint64_t key) {
    context->saved_data["p"] = p;
    context->saved_data["key"] = static_cast<int64_t>(key);
}
rehead::Drop remembered(torch::autograd::AutogradContext *context) {
    return drop_of(context->saved_data["p"].toDouble(), static_cast<uint64_t>(context->saved_data["key"].toInt()));
}

const void *data_or_null(const at::Tensor &tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }

constexpr int64_t ELEMENTS_A_SHARE = 1 << 14;

at::Tensor drop_elements(const at::Tensor &x, const rehead::Drop &drop) {
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
        return drop_elements(x, drop_of(p, key));
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

// ---- residual, dropout and layer norm

using rehead::Normed;

Normed add_and_norm(const at::Tensor &x, const at::Tensor &residual, const at::Tensor &weight, const at::Tensor &bias,
                    double epsilon, const rehead::Drop &drop, bool backward_will_come) {
    if (rehead::Launcher *launcher = rehead::launcher_for(x)) {
        return rehead::fused_add_norm(*launcher, x, residual, weight, bias, epsilon, drop, backward_will_come);
    }
    const int64_t width = x.size(-1), rows = x.numel() / std::max<int64_t>(width, 1);
    at::Tensor input = x.contiguous(), added = residual.defined() ? residual.contiguous() : residual;
    at::Tensor scale = weight.to(at::kFloat).contiguous(), shift = bias.to(at::kFloat).contiguous();
    Normed result;
    result.out = at::empty_like(input);
    if (backward_will_come) {
        result.sum = at::empty_like(input);
        result.mean = at::empty({rows}, input.options().dtype(at::kFloat));
        result.deviation = at::empty_like(result.mean);
    }
    void *sums = backward_will_come ? result.sum.mutable_data_ptr() : nullptr;
    float *means = backward_will_come ? result.mean.mutable_data_ptr<float>() : nullptr;
    float *deviations = backward_will_come ? result.deviation.mutable_data_ptr<float>() : nullptr;
    void *out = result.out.mutable_data_ptr();
    at::parallel_for(0, rows, std::max<int64_t>(1, ELEMENTS_A_SHARE / width), [&](int64_t begin, int64_t end) {
        rehead::kernels().add_norm(stored_of(input), input.const_data_ptr(), data_or_null(added),
                                   scale.const_data_ptr<float>(), shift.const_data_ptr<float>(),
                                   static_cast<float>(epsilon), drop, sums, out, means, deviations, begin, end, width);
    });
    return result;
}

// Sums over rows are taken by shares of so many and then added in order, whatever the number of threads.
constexpr int64_t ROWS_A_SHARE = 64;

struct AddNorm : torch::autograd::Function<AddNorm> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x,
                              const std::optional<at::Tensor> &residual_if_any, const at::Tensor &weight,
                              const at::Tensor &bias, double epsilon, double p, int64_t key) {
        const at::Tensor residual = residual_if_any.value_or(at::Tensor());
        Normed normed = add_and_norm(x, residual, weight, bias, epsilon, drop_of(p, key), true);
        context->save_for_backward({normed.sum, normed.mean, normed.deviation, weight});
        context->saved_data["residual"] = residual.defined();
        remember(context, p, key);
        return normed.out;
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const at::Tensor &sum = saved[0], &mean = saved[1], &deviation = saved[2];
        const rehead::Drop drop = remembered(context);
        const bool residual = context->saved_data["residual"].toBool();
        if (rehead::Launcher *launcher = rehead::launcher_for(sum)) {
            auto of = rehead::fused_add_norm_backward(*launcher, gradients[0], sum, saved[3], mean, deviation, drop, residual);
            const auto kind = saved[3].scalar_type();
            return {of.x, of.residual, of.weight.to(kind), of.bias.to(kind), at::Tensor(), at::Tensor(), at::Tensor()};
        }
        at::Tensor weight = saved[3].to(at::kFloat).contiguous(), gradient = gradients[0].contiguous();
        const int64_t width = sum.size(-1), rows = mean.numel();
        at::Tensor x_gradient = at::empty_like(sum), residual_gradient;
        // Without dropout both gradients are one and the same.
        if (residual) residual_gradient = drop.threshold ? at::empty_like(sum) : x_gradient;
        void *to_residual = residual && drop.threshold ? residual_gradient.mutable_data_ptr() : nullptr;

        const int64_t shares = (rows + ROWS_A_SHARE - 1) / ROWS_A_SHARE;
        at::Tensor parts = at::zeros({shares, 2, width}, mean.options());
        float *part = parts.mutable_data_ptr<float>();
        at::parallel_for(0, shares, 1, [&](int64_t begin, int64_t end) {
            for (int64_t share = begin; share < end; share++) {
                float *sums = part + share * 2 * width;
                rehead::kernels().add_norm_backward(
                    stored_of(sum), gradient.const_data_ptr(), sum.const_data_ptr(), weight.const_data_ptr<float>(),
                    mean.const_data_ptr<float>(), deviation.const_data_ptr<float>(), drop, x_gradient.mutable_data_ptr(),
                    to_residual, sums, sums + width, share * ROWS_A_SHARE, std::min(rows, (share + 1) * ROWS_A_SHARE), width);
            }
        });
        at::Tensor both = parts.sum(0).to(saved[3].scalar_type());
        return {x_gradient, residual_gradient, both[0], both[1], at::Tensor(), at::Tensor(), at::Tensor()};
    }
};

// ---- activations

at::Tensor activated(const at::Tensor &x, rehead::Curve curve) {
    at::Tensor input = x.contiguous(), out = at::empty_like(input);
    at::parallel_for(0, input.numel(), ELEMENTS_A_SHARE, [&](int64_t begin, int64_t end) {
        rehead::kernels().activate(stored_of(input), curve, input.const_data_ptr(), out.mutable_data_ptr(), begin, end);
    });
    return out;
}

struct Activate : torch::autograd::Function<Activate> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, int64_t curve) {
        context->save_for_backward({x});
        context->saved_data["curve"] = curve;
        return activated(x, static_cast<rehead::Curve>(curve));
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   torch::autograd::variable_list gradients) {
        at::Tensor x = context->get_saved_variables()[0].contiguous(), gradient = gradients[0].contiguous();
        const auto curve = static_cast<rehead::Curve>(context->saved_data["curve"].toInt());
        at::Tensor out = at::empty_like(x);
        at::parallel_for(0, x.numel(), ELEMENTS_A_SHARE, [&](int64_t begin, int64_t end) {
            rehead::kernels().activate_backward(stored_of(x), curve, x.const_data_ptr(), gradient.const_data_ptr(),
                                                out.mutable_data_ptr(), begin, end);
        });
        return {out, at::Tensor()};
    }
};

// A feed-forward block's bias and GELU in one, where fused.cu computes.
struct BiasedActivate : torch::autograd::Function<BiasedActivate> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, const at::Tensor &bias,
                              bool by_tanh) {
        context->save_for_backward({x, bias});
        context->saved_data["by_tanh"] = by_tanh;
        return rehead::fused_bias_gelu(*launcher(x), x, bias, by_tanh);
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const bool by_tanh = context->saved_data["by_tanh"].toBool();
        auto of = rehead::fused_bias_gelu_backward(*launcher(saved[0]), saved[0], saved[1], gradients[0], by_tanh);
        return {of.x, of.bias.to(saved[1].scalar_type()), at::Tensor()};
    }
    static rehead::Launcher *launcher(const at::Tensor &x) {
        rehead::Launcher *found = rehead::launcher_for(x);
        TORCH_CHECK(found, "no kernel adds a bias and applies GELU on this device");
        return found;
    }
};

// Up to whole panels.
int64_t whole(int64_t count) { return (count + rehead::PANEL - 1) / rehead::PANEL * rehead::PANEL; }

// ---- images

rehead::Windows windows_of(const at::Tensor &x, int64_t size, int64_t stride, int64_t padding) {
    const auto places = [&](int64_t side) { return (side + 2 * padding - size) / stride + 1; };
    rehead::Windows w;
    w.height = x.size(2), w.width = x.size(3), w.channels = x.size(1);
    w.out_height = places(w.height), w.out_width = places(w.width);
    w.size = size, w.stride = stride, w.padding = padding;
    return w;
}

// Lines of a pool that a thread takes at least.
constexpr int64_t LINES_A_SHARE = 8;

// `place` may be undefined.
at::Tensor pooled(const at::Tensor &x, const rehead::Windows &w, at::Tensor &place) {
    at::Tensor out = at::empty({x.size(0), w.channels, w.out_height, w.out_width}, x.options(), at::MemoryFormat::ChannelsLast);
    uint8_t *places = place.defined() ? place.mutable_data_ptr<uint8_t>() : nullptr;
    at::parallel_for(0, x.size(0) * w.out_height, LINES_A_SHARE, [&](int64_t begin, int64_t end) {
        rehead::kernels().max_pool(stored_of(x), w, x.const_data_ptr(), out.mutable_data_ptr(), places, begin, end);
    });
    return out;
}

struct MaxPool : torch::autograd::Function<MaxPool> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, int64_t size, int64_t stride,
                              int64_t padding) {
        const rehead::Windows w = windows_of(x, size, stride, padding);
        at::Tensor place = at::empty({x.size(0), w.out_height, w.out_width, w.channels}, x.options().dtype(at::kByte));
        at::Tensor out = pooled(x, w, place);
        context->save_for_backward({place});
        context->saved_data["x"] = x.sizes().vec();
        context->saved_data["window"] = std::vector<int64_t>{size, stride, padding};
        return out;
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   torch::autograd::variable_list gradients) {
        const at::Tensor place = context->get_saved_variables()[0];
        const at::Tensor gradient = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
        const auto sizes = context->saved_data["x"].toIntVector(), window = context->saved_data["window"].toIntVector();
        at::Tensor out = at::empty(sizes, gradient.options(), at::MemoryFormat::ChannelsLast);
        const rehead::Windows w = windows_of(out, window[0], window[1], window[2]);
        at::parallel_for(0, out.size(0) * w.height, LINES_A_SHARE, [&](int64_t begin, int64_t end) {
            rehead::kernels().max_pool_backward(stored_of(out), w, gradient.const_data_ptr(), place.const_data_ptr<uint8_t>(),
                                                out.mutable_data_ptr(), begin, end);
        });
        return {out, at::Tensor(), at::Tensor(), at::Tensor()};
    }
};

// Whether oneDNN convolves tensors like this with what follows in the same pass: bf16 needs a CPU with AVX-512.
bool convolves_fused(const at::Tensor &x) {
#if defined(REHEAD_X86)
    static const bool v4 = (__builtin_cpu_init(), __builtin_cpu_supports("x86-64-v4"));
#else
    static const bool v4 = false;
#endif
    return at::hasMKLDNN() && at::globalContext().userEnabledMkldnn() && x.is_cpu() &&
           (x.scalar_type() == at::kFloat || (x.scalar_type() == at::kBFloat16 && v4));
}

// oneDNN's convolution with a ReLU, or with a sum into `added` (which is overwritten) and a ReLU: what torch's compiler calls.
at::Tensor convolved_fused(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, const at::Tensor &added,
                           std::vector<int64_t> stride, std::vector<int64_t> padding, bool relu) {
    static const auto plain = c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_convolution_pointwise", "");
    static const auto sum = c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_convolution_pointwise_", "binary");
    const std::vector<int64_t> dilation{1, 1};
    const c10::List<std::optional<at::Scalar>> scalars;
    torch::jit::Stack stack;
    if (added.defined()) {
        torch::jit::push(stack, added, x, weight, bias, padding, stride, dilation, 1, "add", at::Scalar(1.0));
        stack.push_back(relu ? c10::IValue("relu") : c10::IValue());
        torch::jit::push(stack, scalars, "");
        sum.callBoxed(stack);
    } else {
        torch::jit::push(stack, x, weight, bias, padding, stride, dilation, 1, relu ? "relu" : "none", scalars, "");
        plain.callBoxed(stack);
    }
    return stack.back().toTensor();
}

// The weights in the order in which oneDNN convolves such activations with them: otherwise it reorders them every time.
at::Tensor reordered(const at::Tensor &weight, const at::Tensor &x, std::array<int64_t, 2> stride, std::array<int64_t, 2> padding) {
    return at::mkldnn_reorder_conv2d_weight(weight.contiguous().to_mkldnn(), padding, stride, {1, 1}, 1, x.sizes());
}

// Whether this CPU convolves by Winograd's algorithm with such weights, [outputs, inputs, height, width], in such a kind.
bool has_winograd(const at::Tensor &weight, at::ScalarType kind) {
    return rehead::kernels().winograd && weight.is_cpu() && weight.dim() == 4 && weight.size(2) == 3 && weight.size(3) == 3 &&
           weight.size(0) % rehead::WINOGRAD_CHANNELS == 0 && weight.size(1) % rehead::WINOGRAD_CHANNELS == 0 &&
           (kind == at::kFloat || (kind == at::kBFloat16 && rehead::kernels().winograd_bf16));
}

// Whether a convolution with such weights goes by Winograd's algorithm: where that has less to do than the definition, with 16 products
// a tile instead of 9 a place, and what tiles cost beside them. `panels` may be null.
bool is_by_winograd(const at::Tensor &x, const at::Tensor *panels, int64_t padding_down, int64_t padding_across) {
    if (!panels || !on_cpu(x)) return false;
    const int64_t out_height = x.size(2) + 2 * padding_down - 2, out_width = x.size(3) + 2 * padding_across - 2;
    if (out_height < 1 || out_width < 1) return false;
    const int64_t tiles = (out_height + 1) / 2 * ((out_width + 1) / 2);
    return 20 * tiles <= 9 * out_height * out_width;
}

at::Tensor winograd_panels(const at::Tensor &weight, at::ScalarType kind) {
    const at::Tensor from = weight.to(at::kFloat);
    rehead::WinogradWeight w;
    w.outputs = from.size(0), w.inputs = from.size(1);
    w.output_stride = from.stride(0), w.input_stride = from.stride(1);
    w.down_stride = from.stride(2), w.across_stride = from.stride(3);
    at::Tensor panels = at::empty({16 * w.inputs * w.outputs}, from.options().dtype(kind));
    at::parallel_for(0, whole(w.outputs) / rehead::PANEL, 1, [&](int64_t begin, int64_t end) {
        rehead::kernels().winograd_weight(stored_of(panels), w, from.const_data_ptr<float>(), panels.mutable_data_ptr(), begin, end);
    });
    return panels;
}

// `bias` and `added` may be undefined; `added` is overwritten.
at::Tensor winograd(const at::Tensor &x, const at::Tensor &panels, int64_t outputs, const at::Tensor &bias, const at::Tensor &added,
                    int64_t padding_down, int64_t padding_across, bool relu) {
    rehead::Winograd w;
    w.height = x.size(2), w.width = x.size(3), w.inputs = x.size(1), w.outputs = outputs;
    w.padding_down = padding_down, w.padding_across = padding_across, w.relu = relu;
    w.out_height = w.height + 2 * padding_down - 2, w.out_width = w.width + 2 * padding_across - 2;
    at::Tensor out = added;
    if (!out.defined()) {
        out = at::empty({x.size(0), outputs, w.out_height, w.out_width}, x.options(), at::MemoryFormat::ChannelsLast);
    }
    const int64_t tiles = x.size(0) * ((w.out_height + 1) / 2) * ((w.out_width + 1) / 2);
    at::parallel_for(0, tiles, 1, [&](int64_t begin, int64_t end) {
        rehead::kernels().winograd(stored_of(x), w, x.const_data_ptr(), panels.const_data_ptr(), data_or_null(bias),
                                   data_or_null(added), out.mutable_data_ptr(), begin, end);
    });
    return out;
}

// ---- attention

// Columns [begin, begin + width) of a contiguous table.
rehead::Rows columns_of(const at::Tensor &table, int64_t begin) {
    return {static_cast<const char *>(table.const_data_ptr()) + begin * table.element_size(), table.size(-1)};
}
rehead::MutableRows mutable_columns_of(at::Tensor &table, int64_t begin) {
    return {static_cast<char *>(table.mutable_data_ptr()) + begin * table.element_size(), table.size(-1)};
}

// Query, key and value lie side by side in `projected` `[T, 3·width]`; or, for the sequences' first tokens alone, in `query`
// `[N, width]` and `projected` `[T, 2·width]`. `offsets` is int64 `[N + 1]`.
rehead::Attention attention_of(const at::Tensor &query, const at::Tensor &projected, const at::Tensor &offsets, int64_t heads,
                               const rehead::Drop &drop) {
    const bool first_only = query.defined();
    const int64_t width = first_only ? query.size(-1) : projected.size(-1) / 3;
    TORCH_CHECK(width % heads == 0, width, " columns cannot be divided among ", heads, " heads");
    const int64_t *bounds = offsets.const_data_ptr<int64_t>();
    for (int64_t i = 0; i + 1 < offsets.numel(); i++) {
        TORCH_CHECK(bounds[i] >= 0 && bounds[i] < bounds[i + 1] && bounds[i + 1] <= projected.size(0),
                    "sequence ", i, " does not lie within the batch");
    }
    rehead::Attention a;
    a.stored = stored_of(projected);
    a.query = columns_of(first_only ? query : projected, 0);
    a.key = columns_of(projected, first_only ? 0 : width);
    a.value = columns_of(projected, first_only ? width : 2 * width);
    a.offsets = bounds;
    a.sequences = offsets.numel() - 1;
    a.heads = heads;
    a.dimension = width / heads;
    a.queries = first_only ? query.size(0) : projected.size(0);
    a.first_only = first_only;
    a.drop = drop;
    return a;
}

// A batch may be filled up with rows of no sequence: they are 0, and so are their gradients.
void clear_rows_behind(at::Tensor &table, int64_t used) {
    if (used < table.size(0)) table.narrow(0, used, table.size(0) - used).zero_();
}

at::Tensor attended(const rehead::Attention &a, const at::TensorOptions &options, float *log_sum) {
    at::Tensor out = at::empty({a.queries, a.heads * a.dimension}, options);
    clear_rows_behind(out, a.first_only ? a.sequences : a.offsets[a.sequences]);
    rehead::MutableRows rows = mutable_columns_of(out, 0);
    at::parallel_for(0, a.heads * a.sequences, 1,
                     [&](int64_t begin, int64_t end) { rehead::kernels().attention(a, rows, log_sum, begin, end); });
    return out;
}

struct Attend : torch::autograd::Function<Attend> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const std::optional<at::Tensor> &query,
                              const at::Tensor &projected, const at::Tensor &offsets, int64_t heads, double p, int64_t key) {
        at::Tensor one = query ? query->contiguous() : at::Tensor(), all = projected.contiguous();
        rehead::Attention a = attention_of(one, all, offsets, heads, drop_of(p, key));
        at::Tensor log_sum = at::empty({heads, a.queries}, all.options().dtype(at::kFloat));
        at::Tensor out = attended(a, all.options(), log_sum.mutable_data_ptr<float>());
        context->save_for_backward({one, all, offsets, log_sum, out});
        context->saved_data["heads"] = heads;
        remember(context, p, key);
        return out;
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const at::Tensor &query = saved[0], &projected = saved[1], &offsets = saved[2], &log_sum = saved[3], &out = saved[4];
        at::Tensor gradient = gradients[0].contiguous();
        rehead::Attention a =
            attention_of(query, projected, offsets, context->saved_data["heads"].toInt(), remembered(context));
        at::Tensor projected_gradient = at::empty_like(projected);
        clear_rows_behind(projected_gradient, a.offsets[a.sequences]);
        at::Tensor query_gradient = query.defined() ? at::empty_like(query) : at::Tensor();
        if (query.defined()) clear_rows_behind(query_gradient, a.sequences);
        const int64_t width = a.heads * a.dimension;
        rehead::MutableRows to_query = mutable_columns_of(a.first_only ? query_gradient : projected_gradient, 0);
        rehead::MutableRows to_key = mutable_columns_of(projected_gradient, a.first_only ? 0 : width);
        rehead::MutableRows to_value = mutable_columns_of(projected_gradient, a.first_only ? width : 2 * width);
        at::parallel_for(0, a.heads * a.sequences, 1, [&](int64_t begin, int64_t end) {
            rehead::kernels().attention_backward(a, columns_of(out, 0), log_sum.const_data_ptr<float>(),
                                                 columns_of(gradient, 0), to_query, to_key, to_value, begin, end);
        });
        return {query_gradient, projected_gradient, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
    }
};

// ---- linear layers in 8 bits

// What rehead_pack_int8 makes: panels, then scales, bias and offsets of the outputs.
at::Tensor int8_linear(const at::Tensor &x, at::Tensor **parts, int64_t outputs, bool gelu, rehead::Curve curve) {
    at::Tensor input = x.contiguous();
    rehead::Int8Linear linear;
    linear.panels = parts[0]->const_data_ptr<int8_t>();
    linear.scales = parts[1]->const_data_ptr<float>();
    linear.bias = parts[2]->const_data_ptr<float>();
    linear.offsets = parts[3]->const_data_ptr<int32_t>();
    linear.inputs = input.size(-1);
    linear.outputs = outputs;
    linear.depth = whole(linear.inputs);
    const int64_t rows = input.size(0);
    at::Tensor bytes = at::empty({rows, linear.depth}, input.options().dtype(at::kByte));
    at::Tensor scales = at::empty({rows}, input.options().dtype(at::kFloat));
    at::Tensor out = at::empty({rows, outputs}, input.options());
    auto *to_bytes = bytes.mutable_data_ptr<uint8_t>();
    auto *to_scales = scales.mutable_data_ptr<float>();
    at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
        rehead::kernels().quantise_rows(input.const_data_ptr(), linear.inputs, linear.depth, to_bytes, to_scales, begin, end);
        rehead::kernels().multiply_int8(linear, to_bytes, to_scales, gelu, curve, out.mutable_data_ptr(), begin, end);
    });
    return out;
}

// GPUs on which FlashAttention does not do what it should.
std::array<std::atomic<bool>, 128> without_flash;

// What FlashAttention itself asks for (Ampere or newer, which this does not see: gpu.rs tries).
bool has_flash_attention(const at::Tensor &projected, int64_t head_width) {
    return projected.is_cuda() && projected.scalar_type() == at::kBFloat16 && head_width % 8 == 0 && head_width <= 256 &&
           !without_flash.at(projected.device().index());
}

// On a GPU: FlashAttention over sequences of unequal length (Dao 2023), forwards and backwards.
at::Tensor flash_attention(const at::Tensor &query, const at::Tensor &projected, const at::Tensor &offsets, int64_t longest,
                           int64_t heads, double p, uint64_t key) {
    const bool first_only = query.defined();
    const int64_t parts = first_only ? 2 : 3, width = projected.size(-1) / parts, d = width / heads;
    // Taken apart in one go, so that the backward pass puts the gradients together in one go.
    const std::vector<at::Tensor> part = projected.reshape({-1, parts, heads, d}).unbind(1);
    const at::Tensor q = first_only ? query.view({-1, heads, d}) : part[0];
    const at::Tensor asked = first_only ? at::arange(offsets.numel(), offsets.options()) : offsets;
    if (p > 0.0) seed(projected.device(), key);
    auto result = at::_flash_attention_forward(q, part[parts - 2], part[parts - 1], asked, offsets, first_only ? 1 : longest,
                                               longest, p, /*is_causal=*/false, /*return_debug_mask=*/false);
    return std::get<0>(result).reshape({-1, width});
}

std::optional<at::Tensor> maybe(at::Tensor *tensor) { return tensor ? std::optional<at::Tensor>(*tensor) : std::nullopt; }

void hand_over(at::Tensor tensor, at::Tensor **out) { *out = new at::Tensor(std::move(tensor)); }

}  // namespace

extern "C" {

// out = dropout(x) with probability p; whether an element is kept depends on (key, index) alone on the CPU.
char *rehead_dropout(at::Tensor *x, double p, uint64_t key, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::dropout", {});
        hand_over(dropped(*x, p, key), out);
    });
}

// out = norm(residual + dropout(x)) · weight + bias over the last dimension; `residual` may be null.
char *rehead_add_norm(at::Tensor *x, at::Tensor *residual, at::Tensor *weight, at::Tensor *bias, double epsilon, double p,
                      uint64_t key, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::add_norm", {});
        at::Tensor added = residual ? *residual : at::Tensor();
        if (!computed_here(*x) || x->size(-1) > rehead::WIDEST_NORM) {
            at::Tensor sum = dropped(*x, p, key);
            if (residual) sum = added + sum;
            hand_over(at::layer_norm(sum, weight->sizes(), weight->to(x->scalar_type()), bias->to(x->scalar_type()), epsilon),
                      out);
        } else if (wants_gradient({x, &added, weight, bias})) {
            hand_over(AddNorm::apply(*x, maybe(residual), *weight, *bias, epsilon, p, static_cast<int64_t>(key)), out);
        } else {
            hand_over(add_and_norm(*x, added, *weight, *bias, epsilon, drop_of(p, key), false).out, out);
        }
    });
}

// out = GELU(x), exact or by tanh.
char *rehead_gelu(at::Tensor *x, int by_tanh, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::gelu", {});
        const auto curve = by_tanh ? rehead::Curve::gelu_tanh : rehead::Curve::gelu;
        if (!on_cpu(*x)) {
            hand_over(at::gelu(*x, by_tanh ? "tanh" : "none"), out);
        } else if (wants_gradient({x})) {
            hand_over(Activate::apply(*x, static_cast<int64_t>(curve)), out);
        } else {
            hand_over(activated(*x, curve), out);
        }
    });
}

// Whether rehead_bias_gelu can compute on such tensors.
int rehead_has_bias_gelu(at::Tensor *x) { return rehead::launcher_for(*x) != nullptr; }

// out = GELU(x + bias), exact or by tanh; `bias` may have another kind than x.
char *rehead_bias_gelu(at::Tensor *x, at::Tensor *bias, int by_tanh, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::bias_gelu", {});
        hand_over(BiasedActivate::apply(*x, *bias, by_tanh != 0), out);
    });
}

// `pixels` times three bytes as fp32 numbers, (byte / 255 - mean) / deviation by channel, into `out`.
char *rehead_normalise(const uint8_t *bytes, int64_t pixels, const float *mean, const float *deviation, at::Tensor *out) {
    return guarded([&] {
        TORCH_CHECK(out->numel() == 3 * pixels && out->is_contiguous(), "pixels need a tensor of their size");
        float *numbers = out->mutable_data_ptr<float>();
        at::parallel_for(0, pixels, ELEMENTS_A_SHARE, [&](int64_t begin, int64_t end) {
            rehead::kernels().normalise(bytes, mean, deviation, numbers, begin, end);
        });
    });
}

// The largest of each window of images [N, C, H, W], channels last in memory.
char *rehead_max_pool(at::Tensor *x, int64_t size, int64_t stride, int64_t padding, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::max_pool", {});
        if (!on_cpu(*x) || size > rehead::WIDEST_WINDOW) {
            hand_over(at::max_pool2d(*x, {size, size}, {stride, stride}, {padding, padding}), out);
            return;
        }
        const at::Tensor input = x->contiguous(at::MemoryFormat::ChannelsLast);
        if (wants_gradient({x})) {
            hand_over(MaxPool::apply(input, size, stride, padding), out);
        } else {
            at::Tensor none;
            hand_over(pooled(input, windows_of(input, size, stride, padding), none), out);
        }
    });
}

// The weights of a convolution with stride 1, transformed for Winograd's algorithm; null where it is not for them.
char *rehead_winograd_panels(at::Tensor *weight, int bf16, at::Tensor **out) {
    return guarded([&] {
        at::NoGradGuard no_grad;
        const auto kind = bf16 ? at::kBFloat16 : at::kFloat;
        *out = nullptr;
        if (has_winograd(*weight, kind)) hand_over(winograd_panels(*weight, kind), out);
    });
}

// The weights as rehead_convolve takes them fastest for activations such as `x`; null where that is as they are.
char *rehead_reorder_convolution(at::Tensor *x, at::Tensor *weight, at::Tensor *panels, int64_t stride, int64_t padding_down,
                                 int64_t padding_across, at::Tensor **out) {
    return guarded([&] {
        at::NoGradGuard no_grad;
        *out = nullptr;
        if (is_by_winograd(*x, panels, padding_down, padding_across) || !convolves_fused(*x)) return;
        hand_over(reordered(*weight, *x, {stride, stride}, {padding_down, padding_across}), out);
    });
}

// A convolution for inference, then `added` (may be null, and is overwritten), then a ReLU if asked for. `panels`: the weights for
// Winograd's algorithm, or null.
char *rehead_convolve(at::Tensor *x, at::Tensor *weight, at::Tensor *bias, at::Tensor *panels, at::Tensor *added, int64_t stride,
                      int64_t padding_down, int64_t padding_across, int relu, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::convolve", {});
        at::NoGradGuard no_grad;
        if (is_by_winograd(*x, panels, padding_down, padding_across)) {
            TORCH_CHECK(stride == 1 && x->size(1) == weight->size(1) && panels->scalar_type() == x->scalar_type() &&
                            bias->scalar_type() == x->scalar_type() && panels->numel() == 16 * weight->size(0) * weight->size(1),
                        "these weights are not for such activations");
            const at::Tensor sum = added ? added->contiguous(at::MemoryFormat::ChannelsLast) : at::Tensor();
            TORCH_CHECK(!added || (sum.scalar_type() == x->scalar_type() &&
                                   sum.sizes() == at::IntArrayRef({x->size(0), weight->size(0), x->size(2) + 2 * padding_down - 2,
                                                                   x->size(3) + 2 * padding_across - 2})),
                        "what is added must be of the result's shape and kind");
            hand_over(winograd(x->contiguous(at::MemoryFormat::ChannelsLast), *panels, weight->size(0), *bias, sum, padding_down,
                               padding_across, relu != 0),
                      out);
            return;
        }
        if (convolves_fused(*x)) {
            const at::Tensor sum = added ? added->contiguous(at::MemoryFormat::ChannelsLast) : at::Tensor();
            hand_over(convolved_fused(x->contiguous(at::MemoryFormat::ChannelsLast), *weight, *bias, sum, {stride, stride},
                                      {padding_down, padding_across}, relu != 0),
                      out);
            return;
        }
        at::Tensor y = at::conv2d(*x, *weight, *bias, {stride, stride}, {padding_down, padding_across});
        if (added) y.add_(*added);
        hand_over(relu ? y.relu_() : y, out);
    });
}

// Whether this CPU multiplies 8-bit numbers.
int rehead_has_int8() { return rehead::kernels().multiply_int8 != nullptr; }

// A linear layer's fp32 weight [outputs, inputs] and bias as four tensors of 8-bit panels and what belongs to them.
char *rehead_pack_int8(at::Tensor *weight, at::Tensor *bias, at::Tensor **parts) {
    return guarded([&] {
        at::NoGradGuard no_grad;
        const int64_t outputs = weight->size(0), inputs = weight->size(1), depth = whole(inputs), across = whole(outputs);
        at::Tensor from = weight->contiguous();
        at::Tensor panels = at::empty({across * depth}, from.options().dtype(at::kChar));
        at::Tensor scales = at::empty({across}, from.options()), shift = at::zeros({across}, from.options());
        at::Tensor offsets = at::empty({across}, from.options().dtype(at::kInt));
        shift.narrow(0, 0, outputs).copy_(*bias);
        at::parallel_for(0, across / rehead::PANEL, 1, [&](int64_t begin, int64_t end) {
            rehead::kernels().pack_int8(from.const_data_ptr<float>(), inputs, outputs, depth, panels.mutable_data_ptr<int8_t>(),
                                        scales.mutable_data_ptr<float>(), offsets.mutable_data_ptr<int32_t>(), begin, end);
        });
        hand_over(panels, parts);
        hand_over(scales, parts + 1);
        hand_over(shift, parts + 2);
        hand_over(offsets, parts + 3);
    });
}

// x Wᵀ + b with such parts, in bf16; `gelu` 1 (exact) or 2 (by tanh) is applied at once, 0 is none.
char *rehead_int8_linear(at::Tensor *x, at::Tensor **parts, int64_t outputs, int gelu, at::Tensor **out) {
    return guarded([&] {
        const auto curve = gelu == 2 ? rehead::Curve::gelu_tanh : rehead::Curve::gelu;
        hand_over(int8_linear(*x, parts, outputs, gelu != 0, curve), out);
    });
}

// Whether rehead_attention can compute on such tensors, with heads of `width` columns.
int rehead_has_attention(at::Tensor *projected, int64_t width) {
    return on_cpu(*projected) || has_flash_attention(*projected, width);
}

// Leaves FlashAttention out on a GPU.
char *rehead_flash_attention_withdraw(int gpu) {
    return guarded([&] { without_flash.at(gpu) = true; });
}

// Attention within each sequence of a packed batch; see attention_of. `query` null: every token asks. `offsets` is on the
// tensors' device (on a GPU int32), `longest` the tokens of the longest sequence.
char *rehead_attention(at::Tensor *query, at::Tensor *projected, at::Tensor *offsets, int64_t longest, int64_t heads, double p,
                       uint64_t key, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::attention", {});
        at::Tensor asking = query ? *query : at::Tensor();
        if (projected->is_cuda()) {
            hand_over(flash_attention(asking, *projected, *offsets, longest, heads, p, key), out);
        } else if (wants_gradient({&asking, projected})) {
            hand_over(Attend::apply(maybe(query), *projected, *offsets, heads, p, static_cast<int64_t>(key)), out);
        } else {
            at::Tensor one = query ? query->contiguous() : asking, all = projected->contiguous();
            hand_over(attended(attention_of(one, all, *offsets, heads, drop_of(p, key)), all.options(), nullptr), out);
        }
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

// AdamW on some rows of a table on the CPU; see kernels.h. `gradient` may be null. No row may be listed twice.
char *rehead_adamw_rows(at::Tensor *parameter, at::Tensor *first, at::Tensor *second, uint32_t *last, const int64_t *rows,
                        size_t count, at::Tensor *gradient, double divisor, const rehead::AdamwNumbers *numbers,
                        uint32_t first_number, uint32_t step) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::adamw_rows", {});
        at::NoGradGuard no_grad;
        const int64_t width = parameter->size(-1);
        at::Tensor from = gradient ? gradient->to(at::kFloat).contiguous() : at::Tensor();
        const float *slopes = gradient ? from.const_data_ptr<float>() : nullptr;
        float *p = parameter->mutable_data_ptr<float>(), *m = first->mutable_data_ptr<float>();
        float *v = second->mutable_data_ptr<float>();
        at::parallel_for(0, static_cast<int64_t>(count), 8, [&](int64_t begin, int64_t end) {
            rehead::kernels().adamw_rows(p, m, v, last, rows, slopes, static_cast<float>(divisor), numbers, first_number,
                                         step, begin, end, width);
        });
    });
}

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
                sums[i] = rehead::kernels().square_sum(stored_of(*share.tensor), share.tensor->const_data_ptr(), share.begin,
                                                       share.end);
            }
        });
        double total = 0.0;
        for (double sum : sums) total += sum;
        hand_over(at::scalar_tensor(std::sqrt(total), at::kFloat).view({1}), out);
    });
}

// `count` numbers on a GPU. They are copied from pinned memory, and nobody waits for that.
char *rehead_to_gpu(const int64_t *values, size_t count, int gpu, at::Tensor **out) {
    return guarded([&] {
        const auto length = static_cast<int64_t>(count);
        at::Tensor pinned = at::empty({length}, at::TensorOptions().dtype(at::kLong).pinned_memory(true));
        std::copy(values, values + count, pinned.mutable_data_ptr<int64_t>());
        const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(gpu));
        hand_over(pinned.to(device, at::kLong, /*non_blocking=*/true), out);
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
        // It would fill all new memory with not-a-numbers, in case somebody reads what nobody wrote.
        at::globalContext().setDeterministicFillUninitializedMemory(false);
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
