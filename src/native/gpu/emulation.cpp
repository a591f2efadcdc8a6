// fused.cu on the CPU, for tests: compiled by the C++ compiler, its threads run one after another as fibres that stop
// where a GPU's would wait for each other. Slow, and the same arithmetic to the letter.

#include "fused.h"

#include <ucontext.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace {

// ---- what CUDA gives a kernel --------------------------------------------------------------------------------------

using rehead::DropoutMask;

struct Index {
    unsigned x, y;
};
thread_local Index blockIdx, threadIdx, blockDim, gridDim;

#define __global__
#define __device__
#define __shared__ thread_local
#define __align__(bytes) __attribute__((aligned(bytes)))

float __uint_as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

// ---- threads -------------------------------------------------------------------------------------------------------

constexpr int WARP_THREADS = 32, MOST_THREADS = 256;
constexpr size_t STACK = 64 << 10;

enum class State { ready, exchanging, at_barrier, done };

struct Fibre {
    ucontext_t context;
    std::vector<char> stack;
    State state;
    unsigned exchanges;
};

// The threads of a block->
struct Block {
    ucontext_t scheduler;
    Fibre fibres[MOST_THREADS];
    int threads, running;
    const std::function<void()> *body;
    // What the threads hand each other, in turn: an exchange is read before the next but one is written.
    float slots[2][MOST_THREADS];
};
thread_local const std::unique_ptr<Block> block = std::make_unique<Block>();

void stop(State state) {
    Fibre &fibre = block->fibres[block->running];
    fibre.state = state;
    swapcontext(&fibre.context, &block->scheduler);
}

void run_fibre() {
    (*block->body)();
    block->fibres[block->running].state = State::done;
}

void resume(int thread) {
    block->running = thread;
    threadIdx = {static_cast<unsigned>(thread), 0};
    swapcontext(&block->scheduler, &block->fibres[thread].context);
}

// Lets every thread of a warp continue to where it waits; false when they are all waiting at the barrier or done.
bool step(int begin, int end) {
    int waiting = 0, done = 0;
    for (int thread = begin; thread < end; thread++) {
        waiting += block->fibres[thread].state == State::at_barrier;
        done += block->fibres[thread].state == State::done;
    }
    if (waiting + done == end - begin) return false;
    TORCH_CHECK(waiting == 0 && done == 0, "the threads of a warp part ways");
    for (int thread = begin; thread < end; thread++) resume(thread);
    return true;
}

void run_block(int threads, const std::function<void()> &body) {
    TORCH_CHECK(threads <= MOST_THREADS && threads % WARP_THREADS == 0, "a block of ", threads, " threads");
    block->threads = threads;
    block->body = &body;
    for (int thread = 0; thread < threads; thread++) {
        Fibre &fibre = block->fibres[thread];
        fibre.stack.resize(STACK);
        fibre.state = State::ready;
        fibre.exchanges = 0;
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack.data();
        fibre.context.uc_stack.ss_size = STACK;
        fibre.context.uc_link = &block->scheduler;
        makecontext(&fibre.context, run_fibre, 0);
    }
    for (;;) {
        bool moved = false;
        for (int warp = 0; warp < threads; warp += WARP_THREADS) moved = step(warp, warp + WARP_THREADS) || moved;
        if (moved) continue;
        int waiting = 0;
        for (int thread = 0; thread < threads; thread++) {
            Fibre &fibre = block->fibres[thread];
            waiting += fibre.state == State::at_barrier;
            if (fibre.state == State::at_barrier) fibre.state = State::ready;
        }
        if (waiting == 0) return;
        TORCH_CHECK(waiting == threads, "some threads wait for others that are gone");
    }
}

float __shfl_xor_sync(unsigned, float value, int distance) {
    float *slots = block->slots[block->fibres[block->running].exchanges++ % 2];
    const int own = block->running;
    slots[own] = value;
    stop(State::exchanging);
    return slots[own ^ distance];
}

void __syncthreads() { stop(State::at_barrier); }

#include "fused.cu"

// As much as a block is sure to get on any GPU.
constexpr int64_t ROOM_BYTES = 48 << 10;
thread_local __align__(16) float room[ROOM_BYTES / sizeof(float)];

// ---- launching -----------------------------------------------------------------------------------------------------

template <class... Parameters, size_t... AT>
std::function<void()> call(void (*kernel)(Parameters...), void **arguments, std::index_sequence<AT...>) {
    return [=] { kernel(*static_cast<Parameters *>(arguments[AT])...); };
}

class Emulation final : public rehead::Launcher {
  public:
    explicit Emulation(rehead::Stored stored) : fp32_(stored == rehead::Stored::fp32) {}

    void launch(int kernel, const rehead::Shape &shape, void **arguments) override {
        TORCH_CHECK(shape.shared_bytes <= ROOM_BYTES, shape.shared_bytes, " bytes for a block are too many");
        const std::function<void()> body = body_of(kernel, arguments);
        blockDim = {static_cast<unsigned>(shape.threads), 1};
        gridDim = {static_cast<unsigned>(shape.blocks), static_cast<unsigned>(shape.blocks_across)};
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++) {
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++) {
                // What an earlier block left must not help.
                std::memset(room, 0xFF, sizeof room);
                run_block(static_cast<int>(shape.threads), body);
            }
        }
    }

  private:
    // The types are those of fused.h, or this does not compile.
    template <class... Parameters>
    std::function<void()> choose(rehead::FusedKernel<Parameters...>, void (*fp32)(Parameters...),
                                 void (*bf16)(Parameters...), void **arguments) {
        return call(fp32_ ? fp32 : bf16, arguments, std::index_sequence_for<Parameters...>());
    }

    std::function<void()> body_of(int kernel, void **arguments) {
        switch (kernel) {
            case rehead::DROPOUT.index:
                return choose(rehead::DROPOUT, rehead_dropout_fp32, rehead_dropout_bf16, arguments);
            case rehead::ADD_NORM.index:
                return choose(rehead::ADD_NORM, rehead_add_norm_fp32, rehead_add_norm_bf16, arguments);
            case rehead::ADD_NORM_BACKWARD.index:
                return choose(rehead::ADD_NORM_BACKWARD, rehead_add_norm_backward_fp32, rehead_add_norm_backward_bf16,
                              arguments);
            case rehead::BIAS_GELU.index:
                return choose(rehead::BIAS_GELU, rehead_bias_gelu_fp32, rehead_bias_gelu_bf16, arguments);
            case rehead::BIAS_GELU_BACKWARD.index:
                return choose(rehead::BIAS_GELU_BACKWARD, rehead_bias_gelu_backward_fp32,
                              rehead_bias_gelu_backward_bf16, arguments);
            default: TORCH_CHECK(false, "there is no kernel ", kernel);
        }
    }

    bool fp32_;
};

// Computes nothing at all.
struct Idle final : rehead::Launcher {
    void launch(int, const rehead::Shape &, void **) override {}
};

}  // namespace

extern "C" {

// What computes on the CPU's tensors in this thread from now on: 0 what always does, 1 the emulation, 2 kernels that do
// nothing.
void rehead_stand_in(int which) {
    static Emulation fp32(rehead::Stored::fp32), bf16(rehead::Stored::bf16);
    static Idle idle;
    rehead::Launcher *of_fp32[] = {nullptr, &fp32, &idle}, *of_bf16[] = {nullptr, &bf16, &idle};
    rehead::stand_in(rehead::Stored::fp32, of_fp32[which]);
    rehead::stand_in(rehead::Stored::bf16, of_bf16[which]);
}

}  // extern "C"
