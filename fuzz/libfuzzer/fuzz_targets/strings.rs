//! The target `strings` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("strings");
