#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| psess_properties::check("messages", bytes));
