// AdamW: over many tensors at once, and on single rows of a table.

#include "tensors.h"

extern "C" {

// One AdamW step (decoupled weight decay, Loshchilov & Hutter 2019) over all tensors at once, in place. `divisor`, a
// one-element tensor or null, divides the gradients: gradient clipping without a pass of its own and without waiting
// for the device.
char *rehead_fused_adamw(at::Tensor **parameters, at::Tensor **gradients, at::Tensor **exp_avg, at::Tensor **exp_avg_sq,
                         at::Tensor **steps, size_t count, double learning_rate, double beta1, double beta2,
                         double epsilon, double weight_decay, at::Tensor *divisor) {
    return guarded([&] {
        at::NoGradGuard no_grad;
        std::optional<at::Tensor> scale;
        if (divisor) scale = *divisor;
        at::_fused_adamw_(list(parameters, count), list(gradients, count), list(exp_avg, count),
                          list(exp_avg_sq, count), {}, list(steps, count), learning_rate, beta1, beta2, weight_decay,
                          epsilon, /*amsgrad=*/false,
                          /*maximize=*/false, scale);
    });
}

// AdamW on some rows of a table on the CPU; see kernels.h. `gradient` may be null. No row may be listed twice.
char *rehead_adamw_rows(at::Tensor *parameter, at::Tensor *exp_avg, at::Tensor *exp_avg_sq, uint32_t *last,
                        const int64_t *rows, size_t count, at::Tensor *gradient, double divisor,
                        const rehead::AdamwCoefficients *coefficients, uint32_t first_step, uint32_t step) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::adamw_rows", {});
        at::NoGradGuard no_grad;
        const int64_t width = parameter->size(-1);
        at::Tensor from = gradient ? gradient->to(at::kFloat).contiguous() : at::Tensor();
        const float *gradients = gradient ? from.const_data_ptr<float>() : nullptr;
        float *p = parameter->mutable_data_ptr<float>(), *m = exp_avg->mutable_data_ptr<float>();
        float *v = exp_avg_sq->mutable_data_ptr<float>();
        at::parallel_for(0, static_cast<int64_t>(count), 8, [&](int64_t begin, int64_t end) {
            rehead::kernels().adamw_rows(p, m, v, last, rows, gradients, static_cast<float>(divisor), coefficients,
                                         first_step, step, begin, end, width);
        });
    });
}

}  // extern "C"
