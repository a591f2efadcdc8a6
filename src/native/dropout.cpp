// Dropout.

#include "tensors.h"

#include "dropout.h"

extern "C" {

// out = dropout(x) with probability p; whether an element is kept depends on (key, index) alone on the CPU.
char *rehead_dropout(at::Tensor *x, double p, uint64_t key, at::Tensor **out) {
    return guarded([&] {
        RECORD_FUNCTION("rehead::dropout", {});
        hand_over(dropped(*x, p, key), out);
    });
}

}  // extern "C"
