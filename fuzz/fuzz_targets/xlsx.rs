//! The target `xlsx` (`src/lib.rs`).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rehead_fuzz::run("xlsx", bytes));
