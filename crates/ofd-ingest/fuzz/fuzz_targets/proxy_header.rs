#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ofd_ingest_fuzz::proxy_header::check(input));
