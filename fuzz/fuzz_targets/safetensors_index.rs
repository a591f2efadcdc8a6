//! The target `safetensors_index` (`src/lib.rs`).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rehead_fuzz::run("safetensors_index", bytes));
