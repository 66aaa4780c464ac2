//! The target `schema` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("schema");
