#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ofd_sim_fuzz::batch::check(input));
