//! Compiles src/native/native.cpp against libtorch's headers, and lets the finished binary find libtorch with nothing exported.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=src/native/native.cpp");
    println!("cargo:rerun-if-env-changed=LIBTORCH");

    let library_dir = env::var("DEP_TCH_LIBTORCH_LIB").unwrap_or_else(|_| {
        panic!("torch-sys did not say where libtorch is: run scripts/setup-libtorch first, or set LIBTORCH");
    });
    // An installed binary still finds libtorch where it was at build time; LD_LIBRARY_PATH overrides it.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{library_dir}");

    let torch_dir = PathBuf::from(&library_dir).parent().map(PathBuf::from).unwrap_or_default();
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("src/native/native.cpp")
        .include(torch_dir.join("include"))
        .include(torch_dir.join("include/torch/csrc/api/include"))
        .define("_GLIBCXX_USE_CXX11_ABI", env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into()).as_str())
        .opt_level(3)
        .flag_if_supported("-fno-math-errno")
        .flag_if_supported("-fno-trapping-math")
        .flag_if_supported("-fopenmp")
        .warnings(false)
        .compile("rehead_native");
}
