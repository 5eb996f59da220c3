#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| kkt_proto_fuzz::session_message::check(input));
