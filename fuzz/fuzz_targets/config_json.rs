//! The target `config_json` (`src/lib.rs`).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rehead_fuzz::run("config_json", bytes));
