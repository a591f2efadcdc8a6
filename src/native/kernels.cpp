// The arithmetic between the matrix products and convolutions of a network, for CPUs: a file per kernel, written once
// on vectors of 16 numbers and compiled once for each set of instructions (build.rs gives VARIANT and the flags).
// dispatch.cpp chooses among the sets; the files named .cpp beside these know about tensors.
//
// No header with inline functions of its own belongs here: compiled for one CPU, they could end up being called on
// another.

#include "kernels.h"

#include <cstdlib>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))

namespace rehead {
namespace VARIANT {
namespace {

#include "vectors.inl"

#include "dropout.inl"
#include "norm.inl"
#include "pixels.inl"
#include "pool.inl"
#include "gelu.inl"
#include "matrix.inl"
#include "attention.inl"
#include "adamw.inl"
#include "gradients.inl"
#if defined(__AVX512VNNI__)
#include "int8.inl"
#endif
// With narrower vectors than these oneDNN's convolutions are faster.
#if defined(__AVX512F__)
#include "winograd.inl"
#endif

}  // namespace

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

extern const Kernels table;
const Kernels table = {
    TEXT(VARIANT), add_norm,        add_norm_backward,  activate,   activate_backward,
    dropout,       attention,       attention_backward, adamw_rows,
#if defined(__AVX512VNNI__)
    pack_int8,     quantise_rows,   multiply_int8,
#else
    nullptr,       nullptr,  nullptr,
#endif
    normalise,     max_pool,        max_pool_backward,
#if defined(__AVX512F__)
    WINOGRAD_BF16, winograd_weight, winograd,
#else
    false,         nullptr,  nullptr,
#endif
    square_sum,
};

}  // namespace VARIANT
}  // namespace rehead
