//! The target `words` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("words");
