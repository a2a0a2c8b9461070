#![no_main]
#[path = "../entries_models.rs"]
mod entries;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::answer(bytes));
