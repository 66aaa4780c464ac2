//! What blocks are decoded in: numbers of 64 bits, or of 32 where no value of a block needs more.

use super::kernel::{Kernels, Loops};
use crate::limits::BLOCK_ROWS;

/// Numbers of a block, with room behind them for loops that read whole vectors.
pub const PADDED: usize = BLOCK_ROWS + 16;

/// A block of numbers.
pub type Block<N> = Box<[N; PADDED]>;

/// A block of zeros.
pub fn block<N: Lane>() -> Block<N> {
    let Ok(block) = vec![N::of(0); PADDED].into_boxed_slice().try_into() else {
        unreachable!("as many as asked for")
    };
    block
}

/// A number of a block. Arithmetic wraps.
pub trait Lane: bytemuck::Pod + Ord + std::fmt::Debug {
    /// The low bits of a number.
    fn of(number: i64) -> Self;
    /// The same number in 64 bits.
    fn wide(self) -> i64;
    /// The sum.
    #[must_use]
    fn plus(self, other: Self) -> Self;
    /// The difference.
    #[must_use]
    fn minus(self, other: Self) -> Self;
    /// The product.
    #[must_use]
    fn times(self, other: Self) -> Self;
    /// The bits of both.
    #[must_use]
    fn or(self, other: Self) -> Self;
    /// The value of a zigzag number.
    #[must_use]
    fn unzigzag(self) -> Self;
    /// The double of a number of a magnitude below 2^51, exactly.
    fn double(self) -> f64;
    /// The loops for numbers of this size.
    fn loops(kernels: &Kernels) -> &Loops<Self>;
}

macro_rules! lane {
    ($number:ty, $unsigned:ty, $loops:ident, $double:expr) => {
        impl Lane for $number {
            #[inline(always)]
            fn of(number: i64) -> Self {
                number as Self
            }
            #[inline(always)]
            fn wide(self) -> i64 {
                i64::from(self)
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                self | other
            }
            #[inline(always)]
            fn unzigzag(self) -> Self {
                (self as $unsigned >> 1) as Self ^ (self & 1).wrapping_neg()
            }
            #[inline(always)]
            fn double(self) -> f64 {
                $double(self)
            }
            fn loops(kernels: &Kernels) -> &Loops<Self> {
                &kernels.$loops
            }
        }
    };
}

/// 2^52 + 2^51: added to a small number, it puts it into the fraction of a double.
const MIDDLE: u64 = 0x4338_0000_0000_0000;

lane!(i32, u32, narrow, f64::from);
lane!(i64, u64, wide, |number: i64| f64::from_bits(MIDDLE.wrapping_add(number as u64))
    - f64::from_bits(MIDDLE));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_become_doubles_exactly() {
        for bit in 0..51 {
            for by in [-1, 0, 1] {
                for number in [(1i64 << bit) + by, -(1i64 << bit) - by] {
                    if number.abs() < 1 << 51 {
                        assert_eq!(Lane::double(number).to_bits(), (number as f64).to_bits(), "{number}");
                    }
                }
            }
        }
        assert_eq!(Lane::double(-7i32), -7.0);
    }

    #[test]
    fn zigzag_numbers_are_unfolded() {
        for number in [0, 1, -1, 2, -2, i64::MAX, i64::MIN] {
            assert_eq!((super::super::int::zigzag(number) as i64).unzigzag(), number);
        }
        for (folded, number) in [(0, 0), (1, -1), (2, 1), (3, -2), (i32::MAX, i32::MIN / 2)] {
            assert_eq!(folded.unzigzag(), number);
        }
    }
}
