// Residual, dropout and layer norm.

#include "tensors.h"

#include "dropout.h"

#include <algorithm>

namespace {

using rehead::Normed;

Normed add_and_norm(const at::Tensor &x, const at::Tensor &residual, const at::Tensor &weight, const at::Tensor &bias,
                    double epsilon, const rehead::DropoutMask &drop, bool backward_will_come) {
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
        result.inverse_std = at::empty_like(result.mean);
    }
    void *sums = backward_will_come ? result.sum.mutable_data_ptr() : nullptr;
    float *means = backward_will_come ? result.mean.mutable_data_ptr<float>() : nullptr;
    float *inverse_stds = backward_will_come ? result.inverse_std.mutable_data_ptr<float>() : nullptr;
    void *out = result.out.mutable_data_ptr();
    at::parallel_for(0, rows, std::max<int64_t>(1, ELEMENTS_A_SHARE / width), [&](int64_t begin, int64_t end) {
        rehead::kernels().add_norm(stored_of(input), input.const_data_ptr(), data_or_null(added),
                                   scale.const_data_ptr<float>(), shift.const_data_ptr<float>(),
                                   static_cast<float>(epsilon), drop, sums, out, means, inverse_stds, begin, end,
                                   width);
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
        Normed normed = add_and_norm(x, residual, weight, bias, epsilon, dropout_mask(p, key), true);
        context->save_for_backward({normed.sum, normed.mean, normed.inverse_std, weight});
        context->saved_data["residual"] = residual.defined();
        remember(context, p, key);
        return normed.out;
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const at::Tensor &sum = saved[0], &mean = saved[1], &inverse_std = saved[2];
        const rehead::DropoutMask drop = remembered(context);
        const bool residual = context->saved_data["residual"].toBool();
        if (rehead::Launcher *launcher = rehead::launcher_for(sum)) {
            auto of = rehead::fused_add_norm_backward(*launcher, gradients[0], sum, saved[3], mean, inverse_std, drop,
                                                      residual);
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
                    mean.const_data_ptr<float>(), inverse_std.const_data_ptr<float>(), drop,
                    x_gradient.mutable_data_ptr(), to_residual, sums, sums + width, share * ROWS_A_SHARE,
                    std::min(rows, (share + 1) * ROWS_A_SHARE), width);
            }
        });
        at::Tensor both = parts.sum(0).to(saved[3].scalar_type());
        return {x_gradient, residual_gradient, both[0], both[1], at::Tensor(), at::Tensor(), at::Tensor()};
    }
};

}  // namespace

extern "C" {

// out = norm(residual + dropout(x)) · weight + bias over the last dimension; `residual` may be null.
char *rehead_add_norm(at::Tensor *x, at::Tensor *residual, at::Tensor *weight, at::Tensor *bias, double epsilon,
                      double p, uint64_t key, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::add_norm", {});
        at::Tensor added = residual ? *residual : at::Tensor();
        if (!computed_here(*x) || x->size(-1) > rehead::WIDEST_NORM) {
            at::Tensor sum = dropped(*x, p, key);
            if (residual) sum = added + sum;
            hand_over(
                at::layer_norm(sum, weight->sizes(), weight->to(x->scalar_type()), bias->to(x->scalar_type()), epsilon),
                out);
        } else if (wants_gradient({x, &added, weight, bias})) {
            hand_over(AddNorm::apply(*x, maybe(residual), *weight, *bias, epsilon, p, static_cast<int64_t>(key)), out);
        } else {
            hand_over(add_and_norm(*x, added, *weight, *bias, epsilon, dropout_mask(p, key), false).out, out);
        }
    });
}

}  // extern "C"
