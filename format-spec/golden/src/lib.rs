//! Golden stores: stores of every released version of the format, frozen with what a reader must give for them.
//!
//! `stores` makes them, `damage` spoils some, `expected` says what the engine gives, `frozen` finds what was kept, `fresh`
//! makes one store from a seed, `vectors` feeds test vectors to the decoders. The layout of the frozen files is described in `format-spec/golden/README.md`.

pub mod damage;
pub mod expected;
pub mod fresh;
pub mod frozen;
pub mod storage;
pub mod stores;
pub mod values;
pub mod vectors;
