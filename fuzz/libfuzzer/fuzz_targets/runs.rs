//! The target `runs` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("runs");
