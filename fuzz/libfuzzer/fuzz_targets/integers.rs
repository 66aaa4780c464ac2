//! The target `integers` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("integers");
