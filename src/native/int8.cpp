// Linear layers in 8 bits.

#include "tensors.h"

namespace {

// What rehead_pack_int8 makes: panels, then scales, bias and offsets of the outputs.
at::Tensor int8_linear(const at::Tensor &x, at::Tensor **parts, int64_t outputs, bool gelu,
                       rehead::Activation activation) {
    at::Tensor input = x.contiguous();
    rehead::Int8Linear linear;
    linear.panels = parts[0]->const_data_ptr<int8_t>();
    linear.scales = parts[1]->const_data_ptr<float>();
    linear.bias = parts[2]->const_data_ptr<float>();
    linear.offsets = parts[3]->const_data_ptr<int32_t>();
    linear.inputs = input.size(-1);
    linear.outputs = outputs;
    linear.depth = round_up_to_panel(linear.inputs);
    const int64_t rows = input.size(0);
    at::Tensor bytes = at::empty({rows, linear.depth}, input.options().dtype(at::kByte));
    at::Tensor scales = at::empty({rows}, input.options().dtype(at::kFloat));
    at::Tensor out = at::empty({rows, outputs}, input.options());
    auto *to_bytes = bytes.mutable_data_ptr<uint8_t>();
    auto *to_scales = scales.mutable_data_ptr<float>();
    at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
        rehead::kernels().quantise_rows(input.const_data_ptr(), linear.inputs, linear.depth, to_bytes, to_scales, begin,
                                        end);
        rehead::kernels().multiply_int8(linear, to_bytes, to_scales, gelu, activation, out.mutable_data_ptr(), begin,
                                        end);
    });
    return out;
}

}  // namespace

extern "C" {

// Whether this CPU multiplies 8-bit numbers.
int rehead_has_int8() { return rehead::kernels().multiply_int8 != nullptr; }

// A linear layer's fp32 weight [outputs, inputs] and bias as four tensors of 8-bit panels and what belongs to them.
char *rehead_pack_int8(at::Tensor *weight, at::Tensor *bias, at::Tensor **parts) {
    return guarded([&] {
        at::NoGradGuard no_grad;
        const int64_t outputs = weight->size(0), inputs = weight->size(1), depth = round_up_to_panel(inputs),
                      across = round_up_to_panel(outputs);
        at::Tensor from = weight->contiguous();
        at::Tensor panels = at::empty({across * depth}, from.options().dtype(at::kChar));
        at::Tensor scales = at::empty({across}, from.options()), shift = at::zeros({across}, from.options());
        at::Tensor offsets = at::empty({across}, from.options().dtype(at::kInt));
        shift.narrow(0, 0, outputs).copy_(*bias);
        at::parallel_for(0, across / rehead::PANEL, 1, [&](int64_t begin, int64_t end) {
            rehead::kernels().pack_int8(from.const_data_ptr<float>(), inputs, outputs, depth,
                                        panels.mutable_data_ptr<int8_t>(), scales.mutable_data_ptr<float>(),
                                        offsets.mutable_data_ptr<int32_t>(), begin, end);
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
        const auto activation = gelu == 2 ? rehead::Activation::gelu_tanh : rehead::Activation::gelu;
        hand_over(int8_linear(*x, parts, outputs, gelu != 0, activation), out);
    });
}

}  // extern "C"
