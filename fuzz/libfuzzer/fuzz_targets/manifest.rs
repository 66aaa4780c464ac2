//! The target `manifest` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("manifest");
