//! Every question against a plain program that answers it row by row, and against real files where they are present.

mod adjust;
mod asof;
mod book;
mod calendar;
mod common;
mod depth;
mod derive;
mod in_force;
mod panel;
mod resample;
mod retain;
mod sizes;
