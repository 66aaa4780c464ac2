//! The target `transaction` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("transaction");
