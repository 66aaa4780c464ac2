//! The target `frames` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("frames");
