//! A simulated disk, and the search for power cuts and faults that break the engine's promises (I1 to I9, I12 to I14).
//!
//! [`amount`] says how much is done. [`sim`] is the disk, [`image`] what a power cut leaves of it, [`run`] the operations and the model they are held
//! against, [`search`] the sweeps over the disk of a store, [`targets`] those over disks that are written beside it, [`looks`] those over
//! reads. A failure is told as a [`case::Case`], which replays with one command.

pub mod amount;
pub mod case;
mod check;
pub mod image;
pub mod looks;
pub mod random;
pub mod reads;
pub mod run;
pub mod search;
pub mod sim;
mod spoil;
pub mod targets;
