//! Fuzzes [`test_fuzz::registration`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| test_fuzz::registration::check(input));
