// Attention within each sequence of a packed batch: by kernels of our own on the CPU, by FlashAttention on a GPU.

#include "tensors.h"

#include "dropout.h"

#include <array>
#include <atomic>

namespace {

// Columns [begin, begin + width) of a contiguous table.
rehead::Rows columns_of(const at::Tensor &table, int64_t begin) {
    return {static_cast<const char *>(table.const_data_ptr()) + begin * table.element_size(), table.size(-1)};
}
rehead::MutableRows mutable_columns_of(at::Tensor &table, int64_t begin) {
    return {static_cast<char *>(table.mutable_data_ptr()) + begin * table.element_size(), table.size(-1)};
}

// Query, key and value lie side by side in `projected` `[T, 3·width]`; or, for the sequences' first tokens alone, in
// `query` `[N, width]` and `projected` `[T, 2·width]`. `offsets` is int64 `[N + 1]`.
rehead::Attention attention_of(const at::Tensor &query, const at::Tensor &projected, const at::Tensor &offsets,
                               int64_t heads, const rehead::DropoutMask &drop) {
    const bool first_only = query.defined();
    const int64_t width = first_only ? query.size(-1) : projected.size(-1) / 3;
    TORCH_CHECK(width % heads == 0, width, " columns cannot be divided among ", heads, " heads");
    const int64_t *bounds = offsets.const_data_ptr<int64_t>();
    for (int64_t i = 0; i + 1 < offsets.numel(); i++) {
        TORCH_CHECK(bounds[i] >= 0 && bounds[i] < bounds[i + 1] && bounds[i + 1] <= projected.size(0), "sequence ", i,
                    " does not lie within the batch");
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
                              const at::Tensor &projected, const at::Tensor &offsets, int64_t heads, double p,
                              int64_t key) {
        at::Tensor one = query ? query->contiguous() : at::Tensor(), all = projected.contiguous();
        rehead::Attention a = attention_of(one, all, offsets, heads, dropout_mask(p, key));
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
        const at::Tensor &query = saved[0], &projected = saved[1], &offsets = saved[2], &log_sum = saved[3],
                         &out = saved[4];
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

// GPUs on which FlashAttention does not do what it should.
std::array<std::atomic<bool>, 128> without_flash;

// What FlashAttention itself asks for (Ampere or newer, which this does not see: gpu.rs tries).
bool has_flash_attention(const at::Tensor &projected, int64_t head_width) {
    return projected.is_cuda() && projected.scalar_type() == at::kBFloat16 && head_width % 8 == 0 &&
           head_width <= 256 && !without_flash.at(projected.device().index());
}

// On a GPU: FlashAttention over sequences of unequal length (Dao 2023), forwards and backwards.
at::Tensor flash_attention(const at::Tensor &query, const at::Tensor &projected, const at::Tensor &offsets,
                           int64_t longest, int64_t heads, double p, uint64_t key) {
    const bool first_only = query.defined();
    const int64_t parts = first_only ? 2 : 3, width = projected.size(-1) / parts, d = width / heads;
    // Taken apart in one go, so that the backward pass puts the gradients together in one go.
    const std::vector<at::Tensor> part = projected.reshape({-1, parts, heads, d}).unbind(1);
    const at::Tensor q = first_only ? query.view({-1, heads, d}) : part[0];
    const at::Tensor asked = first_only ? at::arange(offsets.numel(), offsets.options()) : offsets;
    if (p > 0.0) seed(projected.device(), key);
    auto result =
        at::_flash_attention_forward(q, part[parts - 2], part[parts - 1], asked, offsets, first_only ? 1 : longest,
                                     longest, p, /*is_causal=*/false, /*return_debug_mask=*/false);
    return std::get<0>(result).reshape({-1, width});
}

}  // namespace

extern "C" {

// Whether rehead_attention can compute on such tensors, with heads of `width` columns.
int rehead_has_attention(at::Tensor *projected, int64_t width) {
    return on_cpu(*projected) || has_flash_attention(*projected, width);
}

// Leaves FlashAttention out on a GPU.
char *rehead_flash_attention_disable(int gpu) {
    return guarded([&] { without_flash.at(gpu) = true; });
}

// Attention within each sequence of a packed batch; see attention_of. `query` null: every token asks. `offsets` is on
// the tensors' device (on a GPU int32), `longest` the tokens of the longest sequence.
char *rehead_attention(at::Tensor *query, at::Tensor *projected, at::Tensor *offsets, int64_t longest, int64_t heads,
                       double p, uint64_t key, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::attention", {});
        at::Tensor asking = query ? *query : at::Tensor();
        if (projected->is_cuda()) {
            hand_over(flash_attention(asking, *projected, *offsets, longest, heads, p, key), out);
        } else if (wants_gradient({&asking, projected})) {
            hand_over(Attend::apply(maybe(query), *projected, *offsets, heads, p, static_cast<int64_t>(key)), out);
        } else {
            at::Tensor one = query ? query->contiguous() : asking, all = projected->contiguous();
            hand_over(attended(attention_of(one, all, *offsets, heads, dropout_mask(p, key)), all.options(), nullptr),
                      out);
        }
    });
}

}  // extern "C"
