//! The corruption sweep: stores that hold every structure are damaged in every way, and whatever then opens gives the
//! exact data or an error that names file and rule (I13).
//!
//! [`subject`] has the stores, [`truth`] what they must give, [`layout`] what of their files counts, [`parts`] what stands
//! where in a segment, [`damage`] the ways to damage them, [`harmless`] the explicit list of damage that may pass unnoticed,
//! [`losses`] what a damage may cost, [`saved`] what a salvage must save, [`sweep`] puts them together.
//! A failure is told as a [`sweep::Case`], which replays with one command.

pub mod damage;
pub mod harmless;
pub mod layout;
pub mod losses;
pub mod parts;
pub mod saved;
pub mod subject;
pub mod sweep;
pub mod truth;
