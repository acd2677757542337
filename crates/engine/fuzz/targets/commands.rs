#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segno_engine_fuzz::commands::run(data));
