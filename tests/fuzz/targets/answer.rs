#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vod_refresh::fuzz::answer(bytes));
