//! The target `chunk` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("chunk");
