//! The target `salvage` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("salvage");
