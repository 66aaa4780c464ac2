//! Tests of the backtest, by subject: [`twin`] the same definitions, plainly and slowly; [`agreement`] both agree on
//! anything; [`by_hand`] small cases; [`look_ahead`] the past does not depend on the future; [`shapes`] columns to
//! signals; [`pandas`] numbers of a pandas script; [`kept`] results in a store.

mod agreement;
mod by_hand;
mod common;
mod kept;
mod look_ahead;
mod pandas;
mod shapes;
mod twin;
