//! Compiles src/native/ against libtorch's headers, and lets the finished binary find libtorch with nothing exported.

use std::env;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

fn main() {
    println!("cargo:rerun-if-changed=src/native");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed={WARNINGS_ARE_ERRORS}");

    let library_dir = env::var("DEP_TCH_LIBTORCH_LIB").unwrap_or_else(|_| {
        panic!("torch-sys did not say where libtorch is: run scripts/setup-libtorch first, or set LIBTORCH");
    });
    // An installed binary still finds libtorch where it was at build time; LD_LIBRARY_PATH overrides it.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{library_dir}");

    let torch_dir = PathBuf::from(&library_dir).parent().map(PathBuf::from).unwrap_or_default();
    let x86 = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64");
    let with_torch = || {
        let mut build = cpp();
        // System headers: their warnings are not ours.
        for headers in ["include", "include/torch/csrc/api/include"] {
            build.flag("-isystem").flag(torch_dir.join(headers));
        }
        build
            .define("_GLIBCXX_USE_CXX11_ABI", env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into()).as_str())
            .flag_if_supported("-fopenmp");
        build
    };
    let mut native = with_torch();
    native.file("src/native/native.cpp");
    if x86 {
        native.define("REHEAD_X86", None);
    }
    // The GPU's kernels as a stand-in on the CPU: only tests call it, and only they get it linked in.
    let mut emulation = with_torch();
    emulation.file("src/native/gpu/emulation.cpp").flag("-fno-strict-aliasing");
    // Its pragmas speak to the GPU's compiler.
    emulation.flag("-Wno-unknown-pragmas");

    // The kernels once for each set of instructions; dispatch.cpp asks the CPU which it has.
    let mut libraries = vec![("native", native), ("emulation", emulation), ("generic", kernels("generic", &[]))];
    if x86 {
        let newer = ["-march=x86-64-v4", "-mavx512bf16", "-mavx512vnni"];
        let newest = [&newer[..], &["-mamx-tile", "-mamx-int8"]].concat();
        libraries.extend([
            ("avx2", kernels("avx2", &["-march=x86-64-v3"])),
            ("avx512", kernels("avx512", &["-march=x86-64-v4"])),
            ("avx512_bf16", kernels("avx512_bf16", &newer)),
            ("amx", kernels("amx", &newest)),
        ]);
    }
    compile(libraries);
}

/// `.ci/run` sets this.
const WARNINGS_ARE_ERRORS: &str = "REHEAD_WARNINGS_ARE_ERRORS";

/// Compiles each library in a folder of its own, as many at once as cargo allows, and tells the linker of them in
/// their order.
fn compile(mut libraries: Vec<(&str, cc::Build)>) {
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    for (name, library) in &mut libraries {
        library.out_dir(out.join(name)).cargo_metadata(false);
    }
    let jobs = env::var("NUM_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some((name, library)) = libraries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    library.compile(&format!("rehead_{name}"));
                }
            });
        }
    });
    for (name, _) in &libraries {
        println!("cargo:rustc-link-search=native={}", out.join(name).display());
        println!("cargo:rustc-link-lib=static=rehead_{name}");
    }
    println!("cargo:rustc-link-lib=stdc++");
}

fn kernels(variant: &str, flags: &[&str]) -> cc::Build {
    let mut kernels = cpp();
    kernels.file("src/native/kernels.cpp").define("VARIANT", variant);
    // GCC warns of its own header, in which an undefined vector is one that is set to itself.
    kernels.flag_if_supported("-Wno-maybe-uninitialized");
    for flag in flags {
        kernels.flag(flag);
    }
    kernels
}

fn cpp() -> cc::Build {
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .opt_level(3)
        .flag_if_supported("-fno-math-errno")
        .flag_if_supported("-fno-trapping-math")
        // Vectors of 64 bytes are passed to nobody outside this file.
        .flag_if_supported("-Wno-psabi")
        .warnings(true)
        .extra_warnings(true)
        .warnings_into_errors(env::var_os(WARNINGS_ARE_ERRORS).is_some());
    build
}
