//! Division that leaves no rest, by a multiplication.

/// A divisor. Numbers that it divides without a rest are so many powers of two times a product of its odd part, and what
/// undoes a product with an odd number, modulo `2^64`, is a product, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exact {
    divisor: i64,
    twos: u32,
    inverse: i64,
}

impl Exact {
    /// By a number greater than zero.
    pub(super) const fn by(divisor: i64) -> Self {
        debug_assert!(divisor > 0, "a divisor is positive");
        let twos = divisor.trailing_zeros();
        let odd = divisor >> twos;
        // Newton's method: an odd number is its own inverse in the last three bits, and each step doubles these.
        let (mut inverse, mut step) = (odd, 0);
        while step < 5 {
            inverse = inverse.wrapping_mul(2i64.wrapping_sub(odd.wrapping_mul(inverse)));
            step += 1;
        }
        Self { divisor, twos, inverse }
    }

    pub(super) const fn divisor(self) -> i64 {
        self.divisor
    }

    /// How often the divisor goes into a number that is a multiple of it.
    pub(super) const fn quotient(self, number: i64) -> i64 {
        (number >> self.twos).wrapping_mul(self.inverse)
    }

    /// Whether it divides a number without a rest: those are the ones that the product takes to their quotient, which is small.
    pub(super) const fn divides(self, number: u64) -> bool {
        let turned = number.wrapping_mul(self.inverse as u64).rotate_right(self.twos);
        turned <= u64::MAX / self.divisor as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_of_every_kind_of_divisor_are_told_and_come_back() {
        let divisors = (0..63).flat_map(|bit| [1i64 << bit, (1 << bit) | 1, i64::MAX >> bit]);
        for divisor in divisors.chain((0..19).map(|places| 10i64.pow(places))) {
            let exact = Exact::by(divisor);
            let most = i64::MAX / divisor;
            for times in [0, 1, 2, 3, 7, 1000, most / 3, most - 1, most].into_iter().filter(|n| *n <= most) {
                for times in [times, -times] {
                    assert_eq!(exact.quotient(times * divisor), times, "{times} times {divisor}");
                }
                for number in (times * divisor) as u64..=(times * divisor) as u64 + 3 {
                    let divides = number % divisor as u64 == 0;
                    assert_eq!(exact.divides(number), divides, "{divisor} of {number}");
                    assert_eq!(
                        exact.divides(!number),
                        !number % divisor as u64 == 0,
                        "{divisor} of {}",
                        !number
                    );
                }
            }
            if i64::MIN % divisor == 0 {
                assert_eq!(exact.quotient(i64::MIN), i64::MIN / divisor);
            }
        }
    }
}
