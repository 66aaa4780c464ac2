//! A simulated disk, and the search for power cuts and faults that break the engine's promises (I1 to I9, I12 to I14).
//!
//! [`amount`] says how much is done. [`sim`] is the disk, [`image`] what a power cut leaves of it, [`run`] the operations and the model they are held
//! against, [`search`] the sweeps. A failure is told as a [`search::Case`], which replays with one command.

pub mod amount;
mod check;
pub mod image;
pub mod random;
pub mod run;
pub mod search;
pub mod sim;
mod spoil;
