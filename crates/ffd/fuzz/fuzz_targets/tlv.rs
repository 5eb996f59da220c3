#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ffd_fuzz::tlv::check(input));
