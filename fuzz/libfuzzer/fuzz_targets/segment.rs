//! The target `segment` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("segment");
