//! The target `archive` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("archive");
