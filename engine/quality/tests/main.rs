//! Checks, scores and repairs of whole stores.

mod checks;
mod crash;
mod due;
mod incremental;
mod market;
mod repair;
mod rules;
mod sources;
