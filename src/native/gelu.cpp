// GELU, and with a bias before it on a GPU.

#include "tensors.h"

namespace {

at::Tensor activated(const at::Tensor &x, rehead::Activation activation) {
    at::Tensor input = x.contiguous(), out = at::empty_like(input);
    at::parallel_for(0, input.numel(), ELEMENTS_A_SHARE, [&](int64_t begin, int64_t end) {
        rehead::kernels().activate(stored_of(input), activation, input.const_data_ptr(), out.mutable_data_ptr(), begin,
                                   end);
    });
    return out;
}

struct Activate : torch::autograd::Function<Activate> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, int64_t activation) {
        context->save_for_backward({x});
        context->saved_data["activation"] = activation;
        return activated(x, static_cast<rehead::Activation>(activation));
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                   torch::autograd::variable_list gradients) {
        at::Tensor x = context->get_saved_variables()[0].contiguous(), gradient = gradients[0].contiguous();
        const auto activation = static_cast<rehead::Activation>(context->saved_data["activation"].toInt());
        at::Tensor out = at::empty_like(x);
        at::parallel_for(0, x.numel(), ELEMENTS_A_SHARE, [&](int64_t begin, int64_t end) {
            rehead::kernels().activate_backward(stored_of(x), activation, x.const_data_ptr(), gradient.const_data_ptr(),
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

}  // namespace

extern "C" {

// out = GELU(x), exact or by tanh.
char *rehead_gelu(at::Tensor *x, int by_tanh, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::gelu", {});
        const auto activation = by_tanh ? rehead::Activation::gelu_tanh : rehead::Activation::gelu;
        if (!on_cpu(*x)) {
            hand_over(at::gelu(*x, by_tanh ? "tanh" : "none"), out);
        } else if (wants_gradient({x})) {
            hand_over(Activate::apply(*x, static_cast<int64_t>(activation)), out);
        } else {
            hand_over(activated(*x, activation), out);
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

}  // extern "C"
