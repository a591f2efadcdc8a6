// Max pooling.

#include "tensors.h"

namespace {

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
    at::Tensor out =
        at::empty({x.size(0), w.channels, w.out_height, w.out_width}, x.options(), at::MemoryFormat::ChannelsLast);
    uint8_t *places = place.defined() ? place.mutable_data_ptr<uint8_t>() : nullptr;
    at::parallel_for(0, x.size(0) * w.out_height, LINES_A_SHARE, [&](int64_t begin, int64_t end) {
        rehead::kernels().max_pool(stored_of(x), w, x.const_data_ptr(), out.mutable_data_ptr(), places, begin, end);
    });
    return out;
}

struct MaxPool : torch::autograd::Function<MaxPool> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, int64_t size,
                              int64_t stride, int64_t padding) {
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
            rehead::kernels().max_pool_backward(stored_of(out), w, gradient.const_data_ptr(),
                                                place.const_data_ptr<uint8_t>(), out.mutable_data_ptr(), begin, end);
        });
        return {out, at::Tensor(), at::Tensor(), at::Tensor()};
    }
};

}  // namespace

extern "C" {

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

}  // extern "C"
