//! Codecs: numbers to bytes and back, one block of at most 1024 rows at a time. Specified in `format-spec/codecs.md`.
//!
//! Only layout and decode arithmetic are fixed by the specification (rules K1 and on); encoders are free to choose
//! whatever is smallest. Encoding ids are frozen: a changed meaning gets a new id.
//!
//! - [`bitpack`]: numbers of one width, end to end.
//! - [`int`]: blocks of integers: transform and packing; [`int_encode`] chooses.
//! - [`bins`]: blocks coded by how often a column uses which numbers; [`bins_encode`] writes them, by bins
//!   that `bins_plan` chooses from what `tally` counts.
//! - [`lanes`]: the coders of such blocks; `memory`: what these know of the numbers before; `memory_encode` chooses.
//! - [`decimal`]: floats as decimal mantissas with exact exceptions.
//! - [`digits`]: decimals of more places among those of bars.
//! - [`single`]: bars of `f32` that were adjusted in `f64`; [`single_find`] tells them.
//! - [`factor`]: decimals times a factor, as adjusted prices are; [`factor_find`] looks for it.
//! - `exact`: division without a rest, for encoders.
//! - [`kernel`]: the loops of decoding, for what the machine has; [`lane`]: the numbers that they work on.
//! - [`group`]: what open, high, low and close tell about one another.

pub mod bins;
pub mod bins_encode;
mod bins_plan;
pub mod bitpack;
pub mod decimal;
pub mod digits;
mod exact;
pub mod factor;
pub mod factor_find;
pub mod group;
pub mod int;
pub mod int_encode;
pub mod kernel;
pub mod lane;
pub mod lanes;
pub(crate) mod memory;
pub(crate) mod memory_encode;
pub mod single;
pub mod single_find;
mod tally;
