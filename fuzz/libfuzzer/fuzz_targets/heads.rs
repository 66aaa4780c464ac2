//! The target `heads` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("heads");
