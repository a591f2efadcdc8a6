// Convolutions for inference, with what follows them: by Winograd's algorithm, by oneDNN, or by libtorch.

#include "tensors.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <array>

namespace {

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

// oneDNN's convolution with a ReLU, or with a sum into `added` (which is overwritten) and a ReLU: what torch's compiler
// calls.
at::Tensor convolved_fused(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias,
                           const at::Tensor &added, std::vector<int64_t> stride, std::vector<int64_t> padding,
                           bool relu) {
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
at::Tensor reordered(const at::Tensor &weight, const at::Tensor &x, std::array<int64_t, 2> stride,
                     std::array<int64_t, 2> padding) {
    return at::mkldnn_reorder_conv2d_weight(weight.contiguous().to_mkldnn(), padding, stride, {1, 1}, 1, x.sizes());
}

// Whether this CPU convolves by Winograd's algorithm with such weights, [outputs, inputs, height, width], in such a
// kind.
bool has_winograd(const at::Tensor &weight, at::ScalarType kind) {
    return rehead::kernels().winograd && weight.is_cpu() && weight.dim() == 4 && weight.size(2) == 3 &&
           weight.size(3) == 3 && weight.size(0) % rehead::WINOGRAD_CHANNELS == 0 &&
           weight.size(1) % rehead::WINOGRAD_CHANNELS == 0 &&
           (kind == at::kFloat || (kind == at::kBFloat16 && rehead::kernels().winograd_bf16));
}

// Whether a convolution with such weights goes by Winograd's algorithm: where that has less to do than the definition,
// with 16 products a tile instead of 9 a place, and what tiles cost beside them. `panels` may be null.
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
    at::parallel_for(0, round_up_to_panel(w.outputs) / rehead::PANEL, 1, [&](int64_t begin, int64_t end) {
        rehead::kernels().winograd_weight(stored_of(panels), w, from.const_data_ptr<float>(), panels.mutable_data_ptr(),
                                          begin, end);
    });
    return panels;
}

// `bias` and `added` may be undefined; `added` is overwritten.
at::Tensor winograd(const at::Tensor &x, const at::Tensor &panels, int64_t outputs, const at::Tensor &bias,
                    const at::Tensor &added, int64_t padding_down, int64_t padding_across, bool relu) {
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

}  // namespace

extern "C" {

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
char *rehead_reorder_convolution(at::Tensor *x, at::Tensor *weight, at::Tensor *panels, int64_t stride,
                                 int64_t padding_down, int64_t padding_across, at::Tensor **out) {
    return guarded([&] {
        at::NoGradGuard no_grad;
        *out = nullptr;
        if (is_by_winograd(*x, panels, padding_down, padding_across) || !convolves_fused(*x)) return;
        hand_over(reordered(*weight, *x, {stride, stride}, {padding_down, padding_across}), out);
    });
}

// A convolution for inference, then `added` (may be null, and is overwritten), then a ReLU if asked for. `panels`: the
// weights for Winograd's algorithm, or null.
char *rehead_convolve(at::Tensor *x, at::Tensor *weight, at::Tensor *bias, at::Tensor *panels, at::Tensor *added,
                      int64_t stride, int64_t padding_down, int64_t padding_across, int relu, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::convolve", {});
        at::NoGradGuard no_grad;
        if (is_by_winograd(*x, panels, padding_down, padding_across)) {
            TORCH_CHECK(stride == 1 && x->size(1) == weight->size(1) && panels->scalar_type() == x->scalar_type() &&
                            bias->scalar_type() == x->scalar_type() &&
                            panels->numel() == 16 * weight->size(0) * weight->size(1),
                        "these weights are not for such activations");
            const at::Tensor sum = added ? added->contiguous(at::MemoryFormat::ChannelsLast) : at::Tensor();
            TORCH_CHECK(!added || (sum.scalar_type() == x->scalar_type() &&
                                   sum.sizes() ==
                                       at::IntArrayRef({x->size(0), weight->size(0), x->size(2) + 2 * padding_down - 2,
                                                        x->size(3) + 2 * padding_across - 2})),
                        "what is added must be of the result's shape and kind");
            hand_over(winograd(x->contiguous(at::MemoryFormat::ChannelsLast), *panels, weight->size(0), *bias, sum,
                               padding_down, padding_across, relu != 0),
                      out);
            return;
        }
        if (convolves_fused(*x)) {
            const at::Tensor sum = added ? added->contiguous(at::MemoryFormat::ChannelsLast) : at::Tensor();
            hand_over(convolved_fused(x->contiguous(at::MemoryFormat::ChannelsLast), *weight, *bias, sum,
                                      {stride, stride}, {padding_down, padding_across}, relu != 0),
                      out);
            return;
        }
        at::Tensor y = at::conv2d(*x, *weight, *bias, {stride, stride}, {padding_down, padding_across});
        if (added) y.add_(*added);
        hand_over(relu ? y.relu_() : y, out);
    });
}

}  // extern "C"
