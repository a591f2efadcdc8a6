// All that knows about tensors as one translation unit: libtorch's headers take longer to compile than these files
// together.

#include "adamw.cpp"
#include "attention.cpp"
#include "convolution.cpp"
#include "device.cpp"
#include "dispatch.cpp"
#include "dropout.cpp"
#include "gelu.cpp"
#include "gradients.cpp"
#include "int8.cpp"
#include "norm.cpp"
#include "pixels.cpp"
#include "pool.cpp"
#include "profiler.cpp"

#include "gpu/fused.cpp"
#include "gpu/nvrtc.cpp"
