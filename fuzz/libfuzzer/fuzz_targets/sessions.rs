//! The target `sessions` of tape-fuzz.
#![no_main]

tape_libfuzzer::fuzz!("sessions");
