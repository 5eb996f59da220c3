#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ofd_fns_fuzz::events_page::check(input));
