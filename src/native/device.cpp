// What libtorch has for devices and tch lacks: copies that nobody waits for, deterministic mode, allocator statistics.

#include "tensors.h"

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>

#include <algorithm>

extern "C" {

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
