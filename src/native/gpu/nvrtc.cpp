// Compiles fused.cu for the GPU that is there (NVRTC) and starts its kernels (CUDA's driver). Both are loaded when a
// GPU is used, through the little library by which libtorch itself finds them, so that building needs no CUDA at all.

#include "fused.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <dlfcn.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// ---- what is called of them, as nvrtc.h and cuda.h declare it; 0 is success ----------------------------------------

using Program = struct OpaqueProgram *;
using Context = struct OpaqueContext *;
using Module = struct OpaqueModule *;
using Function = struct OpaqueFunction *;
using Stream = struct OpaqueStream *;
constexpr int COMPUTE_CAPABILITY_MAJOR = 75, COMPUTE_CAPABILITY_MINOR = 76;

struct Library {
    int (*nvrtcVersion)(int *major, int *minor);
    int (*nvrtcCreateProgram)(Program *, const char *source, const char *name, int headers, const char *const *,
                              const char *const *);
    int (*nvrtcDestroyProgram)(Program *);
    int (*nvrtcCompileProgram)(Program, int count, const char *const *options);
    int (*nvrtcGetProgramLogSize)(Program, size_t *);
    int (*nvrtcGetProgramLog)(Program, char *);
    int (*nvrtcGetCUBINSize)(Program, size_t *);
    int (*nvrtcGetCUBIN)(Program, char *);
    const char *(*nvrtcGetErrorString)(int);

    int (*cuInit)(unsigned flags);
    int (*cuDeviceGet)(int *device, int ordinal);
    int (*cuDeviceGetAttribute)(int *value, int attribute, int device);
    int (*cuDevicePrimaryCtxRetain)(Context *, int device);
    int (*cuCtxPushCurrent)(Context);
    int (*cuCtxPopCurrent)(Context *);
    int (*cuModuleLoadData)(Module *, const void *image);
    int (*cuModuleGetFunction)(Function *, Module, const char *name);
    int (*cuLaunchKernel)(Function, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x,
                          unsigned threads_y, unsigned threads_z, unsigned shared_bytes, Stream, void **arguments,
                          void **extra);
    int (*cuGetErrorString)(int, const char **);

    Library() {
        void *handle = dlopen("libcaffe2_nvrtc.so", RTLD_NOW | RTLD_LOCAL);
        if (!handle) throw std::runtime_error(std::string("NVRTC is not there: ") + dlerror());
        find(handle, "nvrtcVersion", nvrtcVersion);
        find(handle, "nvrtcCreateProgram", nvrtcCreateProgram);
        find(handle, "nvrtcDestroyProgram", nvrtcDestroyProgram);
        find(handle, "nvrtcCompileProgram", nvrtcCompileProgram);
        find(handle, "nvrtcGetProgramLogSize", nvrtcGetProgramLogSize);
        find(handle, "nvrtcGetProgramLog", nvrtcGetProgramLog);
        find(handle, "nvrtcGetCUBINSize", nvrtcGetCUBINSize);
        find(handle, "nvrtcGetCUBIN", nvrtcGetCUBIN);
        find(handle, "nvrtcGetErrorString", nvrtcGetErrorString);
        find(handle, "cuInit", cuInit);
        find(handle, "cuDeviceGet", cuDeviceGet);
        find(handle, "cuDeviceGetAttribute", cuDeviceGetAttribute);
        find(handle, "cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRetain);
        find(handle, "cuCtxPushCurrent_v2", cuCtxPushCurrent);
        find(handle, "cuCtxPopCurrent_v2", cuCtxPopCurrent);
        find(handle, "cuModuleLoadData", cuModuleLoadData);
        find(handle, "cuModuleGetFunction", cuModuleGetFunction);
        find(handle, "cuLaunchKernel", cuLaunchKernel);
        find(handle, "cuGetErrorString", cuGetErrorString);
        load_builtins();
    }

    void nvrtc(int status, const char *what) const {
        if (status) throw std::runtime_error(std::string(what) + ": " + nvrtcGetErrorString(status));
    }
    void cuda(int status, const char *what) const {
        const char *text = nullptr;
        if (status && cuGetErrorString(status, &text) == 0 && text) {
            throw std::runtime_error(std::string(what) + ": " + text);
        }
        if (status) throw std::runtime_error(std::string(what) + ": CUDA error " + std::to_string(status));
    }

  private:
    // A symbol of the library or of those that it asks for.
    template <class Pointer>
    static void find(void *handle, const char *name, Pointer &pointer) {
        pointer = reinterpret_cast<Pointer>(dlsym(handle, name));
        if (!pointer) throw std::runtime_error(std::string("NVRTC and the driver lack ") + name);
    }

    // NVRTC asks for a second library that lies beside it, by name alone, and may not look there. Should this fail,
    // compiling says so.
    void load_builtins() const {
        Dl_info info;
        int major = 0, minor = 0;
        if (!dladdr(reinterpret_cast<void *>(nvrtcVersion), &info) || !info.dli_fname || nvrtcVersion(&major, &minor))
            return;
        std::string path = info.dli_fname;
        path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/') + 1);
        path += "libnvrtc-builtins.so." + std::to_string(major) + "." + std::to_string(minor);
        dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    }
};

const Library &library() {
    static const Library loaded;
    return loaded;
}

// ---- compiling and launching ---------------------------------------------------------------------------------------

// The source compiled for a compute capability.
std::vector<char> compile(const char *source, const std::string &architecture, const char *kind) {
    const Library &lib = library();
    Program made;
    lib.nvrtc(lib.nvrtcCreateProgram(&made, source, "fused.cu", 0, nullptr, nullptr), "NVRTC");
    auto destroy = [&lib](Program program) { lib.nvrtcDestroyProgram(&program); };
    const std::unique_ptr<OpaqueProgram, decltype(destroy)> program(made, destroy);
    const std::string target = "--gpu-architecture=" + architecture, only = std::string("--define-macro=ONLY_") + kind;
    const char *options[] = {target.c_str(), only.c_str(), "--std=c++17"};
    size_t size = 0;
    if (const int status = lib.nvrtcCompileProgram(program.get(), 3, options)) {
        std::string log;
        if (lib.nvrtcGetProgramLogSize(program.get(), &size) == 0 && size > 1) {
            log.resize(size);
            lib.nvrtcGetProgramLog(program.get(), log.data());
            log = ": " + log.substr(0, log.find('\n'));
        }
        throw std::runtime_error("NVRTC does not compile for " + architecture + " (" + lib.nvrtcGetErrorString(status) +
                                 log + ")");
    }
    lib.nvrtc(lib.nvrtcGetCUBINSize(program.get(), &size), "NVRTC");
    std::vector<char> image(size);
    lib.nvrtc(lib.nvrtcGetCUBIN(program.get(), image.data()), "NVRTC");
    return image;
}

class Gpu final : public rehead::Launcher {
  public:
    Gpu(const char *source, int index, rehead::Stored stored)
        : device_(at::kCUDA, static_cast<at::DeviceIndex>(index)) {
        const Library &lib = library();
        const bool fp32 = stored == rehead::Stored::fp32;
        int device = 0, major = 0, minor = 0;
        lib.cuda(lib.cuInit(0), "CUDA's driver");
        lib.cuda(lib.cuDeviceGet(&device, index), "CUDA's driver");
        lib.cuda(lib.cuDeviceGetAttribute(&major, COMPUTE_CAPABILITY_MAJOR, device), "compute capability");
        lib.cuda(lib.cuDeviceGetAttribute(&minor, COMPUTE_CAPABILITY_MINOR, device), "compute capability");
        // The context that libtorch works in.
        lib.cuda(lib.cuDevicePrimaryCtxRetain(&context_, device), "context");
        const std::vector<char> image =
            compile(source, "sm_" + std::to_string(major) + std::to_string(minor), fp32 ? "FP32" : "BF16");
        const InContext here(context_);
        Module module;
        lib.cuda(lib.cuModuleLoadData(&module, image.data()), "loading the fused kernels");
        for (int kernel = 0; kernel < rehead::FUSED_KERNELS; kernel++) {
            const std::string name = std::string(rehead::FUSED_NAMES[kernel]) + (fp32 ? "_fp32" : "_bf16");
            lib.cuda(lib.cuModuleGetFunction(&functions_[kernel], module, name.c_str()), name.c_str());
        }
    }

    void launch(int kernel, const rehead::Shape &shape, void **arguments) override {
        const Library &lib = library();
        const c10::impl::VirtualGuardImpl guard(at::kCUDA);
        const auto stream = static_cast<Stream>(guard.getStreamNativeHandle(guard.getStream(device_)));
        const InContext here(context_);
        lib.cuda(lib.cuLaunchKernel(functions_[kernel], static_cast<unsigned>(shape.blocks),
                                    static_cast<unsigned>(shape.blocks_across), 1, static_cast<unsigned>(shape.threads),
                                    1, 1, static_cast<unsigned>(shape.shared_bytes), stream, arguments, nullptr),
                 rehead::FUSED_NAMES[kernel]);
    }

  private:
    // Whatever context this thread was in, it is in again afterwards.
    struct InContext {
        explicit InContext(Context context) { library().cuda(library().cuCtxPushCurrent(context), "context"); }
        ~InContext() {
            Context left;
            library().cuCtxPopCurrent(&left);
        }
        InContext(const InContext &) = delete;
    };

    at::Device device_;
    Context context_ = nullptr;
    Function functions_[rehead::FUSED_KERNELS] = {};
};

}  // namespace

extern "C" {

// From now on the kernels of `source` (fused.cu) compute on GPU `index` for one kind of elements. They stay loaded:
// launches may still be under way when somebody disables them.
char *rehead_fused_load(const char *source, int index, int bf16) {
    try {
        const rehead::Stored stored = bf16 ? rehead::Stored::bf16 : rehead::Stored::fp32;
        rehead::set_launcher(index, stored, new Gpu(source, index, stored));
        return nullptr;
    } catch (const std::exception &error) {
        return strdup(error.what());
    }
}

// From now on libtorch's operations compute there instead.
void rehead_fused_disable(int index, int bf16) {
    rehead::set_launcher(index, bf16 ? rehead::Stored::bf16 : rehead::Stored::fp32, nullptr);
}

}  // extern "C"
