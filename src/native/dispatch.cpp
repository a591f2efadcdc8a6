// Which set of kernels.cpp's instructions this CPU can run, and which computes.

#include <ATen/cpu/Utils.h>

#include "kernels.h"

#if defined(REHEAD_X86)
#include <cpuid.h>
#endif

#include <cstdlib>
#include <cstring>
#include <vector>

namespace rehead {
namespace generic {
extern const Kernels table;
}
#if defined(REHEAD_X86)
namespace avx2 {
extern const Kernels table;
}
namespace avx512 {
extern const Kernels table;
}
namespace avx512_bf16 {
extern const Kernels table;
}
namespace amx {
extern const Kernels table;
}

// Whether the CPU has matrix units for 8 bits, and the system lets this process use them.
bool has_int8_tiles() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 25 & 1) && at::cpu::init_amx();
}
#endif

// The sets that this CPU can run, the fastest first.
const std::vector<const Kernels *> &available() {
    static const std::vector<const Kernels *> found = [] {
        std::vector<const Kernels *> tables;
#if defined(REHEAD_X86)
        __builtin_cpu_init();
        const bool v4 = __builtin_cpu_supports("x86-64-v4");
        const bool newer = v4 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
        if (newer && has_int8_tiles()) tables.push_back(&amx::table);
        if (newer) tables.push_back(&avx512_bf16::table);
        if (v4) tables.push_back(&avx512::table);
        if (__builtin_cpu_supports("x86-64-v3")) tables.push_back(&avx2::table);
#endif
        tables.push_back(&generic::table);
        return tables;
    }();
    return found;
}

const Kernels &kernels() {
    static const Kernels &chosen = []() -> const Kernels & {
        // Tests name those that this CPU would not take by itself. Where it lacks them, the next best are taken.
        const char *wanted = std::getenv("REHEAD_KERNELS");
        const char *order[] = {"amx", "avx512_bf16", "avx512", "avx2", "generic"};
        bool allowed = wanted == nullptr;
        for (const char *name : order) {
            allowed = allowed || std::strcmp(wanted, name) == 0;
            for (const Kernels *table : available()) {
                if (allowed && std::strcmp(table->name, name) == 0) return *table;
            }
        }
        return generic::table;
    }();
    return chosen;
}

}  // namespace rehead

extern "C" {

// The name of a set that this CPU can run; null behind the last.
const char *rehead_kernels(int index) {
    const auto &tables = rehead::available();
    return index >= 0 && static_cast<size_t>(index) < tables.size() ? tables[index]->name : nullptr;
}

const char *rehead_chosen_kernels() { return rehead::kernels().name; }

}  // extern "C"
