// Where a training step's time goes: the time that each of libtorch's operations takes itself, without those that it
// calls. Plain C functions for profiler.rs; they observe, and change nothing that is computed.

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/record_function.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>

namespace {

using Clock = std::chrono::steady_clock;

struct Operation {
    double seconds = 0.0;
    uint64_t calls = 0;
};

std::mutex mutex;
std::unordered_map<std::string, Operation> operations;
at::CallbackHandle handle = at::INVALID_CALLBACK_HANDLE;

// An accelerator works behind its caller's back: what it does is only seen by waiting for it.
void wait_for_accelerator() {
    if (!at::hasCUDA()) return;
    c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
    guard.synchronizeDevice(guard.getDevice().index());
}

struct Running : at::ObserverContext {
    Running *caller;
    Clock::time_point began;
    double called = 0.0;
};
thread_local Running *innermost = nullptr;

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction &) {
    wait_for_accelerator();
    auto running = std::make_unique<Running>();
    running->caller = innermost;
    innermost = running.get();
    running->began = Clock::now();
    return running;
}

void end(const at::RecordFunction &function, at::ObserverContext *context) {
    wait_for_accelerator();
    auto *running = static_cast<Running *>(context);
    const double seconds = std::chrono::duration<double>(Clock::now() - running->began).count();
    innermost = running->caller;
    if (innermost) innermost->called += seconds;
    std::lock_guard<std::mutex> lock(mutex);
    Operation &operation = operations[function.name()];
    operation.seconds += seconds - running->called;
    operation.calls += 1;
}

}  // namespace

extern "C" {

// From now on operations are timed, until rehead_profiler_pause.
void rehead_profiler_run() {
    if (handle != at::INVALID_CALLBACK_HANDLE) return;
    handle = at::addGlobalCallback(at::RecordFunctionCallback(&begin, &end)
                                       .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
}

void rehead_profiler_pause() {
    if (handle == at::INVALID_CALLBACK_HANDLE) return;
    at::removeCallback(handle);
    handle = at::INVALID_CALLBACK_HANDLE;
}

// Hands every operation over, and forgets them.
void rehead_profiler_take(void (*take)(void *to, const char *name, double seconds, uint64_t calls), void *to) {
    std::lock_guard<std::mutex> lock(mutex);
    for (const auto &[name, operation] : operations) take(to, name.c_str(), operation.seconds, operation.calls);
    operations.clear();
}

}  // extern "C"
