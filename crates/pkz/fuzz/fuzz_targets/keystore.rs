#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pkz_fuzz::keystore::check(input));
