// What the functions over tensors share: tensors as torch-sys hands them over (each is an at::Tensor*), C++ exceptions
// as messages (malloc'ed, freed by the caller; null is success), and what computes on a tensor.

#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>

#include "gpu/fused.h"
#include "kernels.h"

#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>

namespace {

template <class Body>
char *guarded(Body body) {
    try {
        body();
        return nullptr;
    } catch (const std::exception &error) {
        return strdup(error.what());
    } catch (...) {
        return strdup("unknown C++ exception");
    }
}

std::vector<at::Tensor> list(at::Tensor **tensors, size_t count) {
    std::vector<at::Tensor> result;
    result.reserve(count);
    for (size_t i = 0; i < count; i++) result.push_back(*tensors[i]);
    return result;
}

std::optional<at::Tensor> maybe(at::Tensor *tensor) {
    return tensor ? std::optional<at::Tensor>(*tensor) : std::nullopt;
}

void hand_over(at::Tensor tensor, at::Tensor **out) { *out = new at::Tensor(std::move(tensor)); }

// On the CPU in fp32 and bf16 the kernels are kernels.cpp's, on a GPU fused.cu's once they are loaded; elsewhere
// libtorch's operations give the same.

bool on_cpu(const at::Tensor &x) {
    return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

bool computed_here(const at::Tensor &x) { return on_cpu(x) || rehead::launcher_for(x) != nullptr; }

rehead::Stored stored_of(const at::Tensor &x) {
    return x.scalar_type() == at::kFloat ? rehead::Stored::fp32 : rehead::Stored::bf16;
}

bool wants_gradient(std::initializer_list<const at::Tensor *> tensors) {
    if (!at::GradMode::is_enabled()) return false;
    for (const at::Tensor *tensor : tensors) {
        if (tensor->defined() && tensor->requires_grad()) return true;
    }
    return false;
}

const void *data_or_null(const at::Tensor &tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }

constexpr int64_t ELEMENTS_A_SHARE = 1 << 14;

// Up to full panels.
int64_t round_up_to_panel(int64_t count) { return (count + rehead::PANEL - 1) / rehead::PANEL * rehead::PANEL; }

}  // namespace
