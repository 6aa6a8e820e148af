//! Fuzzes [`test_fuzz::custom_resource`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| test_fuzz::custom_resource::check(input));
