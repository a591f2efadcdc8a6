//! The target `tokenizer_config` (`src/lib.rs`).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rehead_fuzz::run("tokenizer_config", bytes));
