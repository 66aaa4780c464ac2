//! The target `footer` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("footer");
