#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kkt_proto_fuzz::container::check(input));
