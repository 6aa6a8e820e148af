//! Fuzzes [`test_fuzz::restart`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| test_fuzz::restart::check(input));
