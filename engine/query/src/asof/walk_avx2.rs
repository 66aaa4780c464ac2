//! The kernel of [`super::walk`] with AVX2: four left times are compared with one instruction.

use std::arch::x86_64::{
    __m256i, _mm_storeu_si128, _mm256_castsi256_pd, _mm256_cmpgt_epi64, _mm256_cvttpd_epi32,
    _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi64x, _mm256_set1_pd, _mm256_setzero_si256,
    _mm256_sub_epi64, _mm256_sub_pd,
};

use super::walk::{GROUP, NEAR, side_by_side};

/// [`super::walk::pass`].
#[target_feature(enable = "avx2")]
pub(super) fn pass<const EQUAL: bool>(left: &[i64], right: &[i64], from: usize, out: &mut [u32]) {
    side_by_side::<EQUAL>(left, right, from, out, |left, near| counts::<EQUAL>(left, near));
}

/// [`super::walk::counts`].
#[expect(clippy::cast_ptr_alignment, reason = "the instructions take any alignment")]
#[inline]
#[target_feature(enable = "avx2")]
fn counts<const EQUAL: bool>(left: &[i64; GROUP], near: &[i64; NEAR]) -> [u32; GROUP] {
    /// 2^52 as a double, with room for a small number in its last bits.
    const EXPONENT: i64 = 0x4330_0000_0000_0000;
    // SAFETY: four numbers of eight bytes are the 32 bytes that are read, at any alignment.
    let left = unsafe { _mm256_loadu_si256(left.as_ptr().cast::<__m256i>()) };
    // A comparison that holds is -1. With `EQUAL` those are counted that are not passed by.
    let counted = near.iter().fold(_mm256_setzero_si256(), |sum, right| {
        let right = _mm256_set1_epi64x(*right);
        let holds = if EQUAL { _mm256_cmpgt_epi64(right, left) } else { _mm256_cmpgt_epi64(left, right) };
        _mm256_sub_epi64(sum, holds)
    });
    // By way of doubles, for which there is an instruction that makes numbers of 32 bits of them.
    let doubles = _mm256_castsi256_pd(_mm256_or_si256(counted, _mm256_set1_epi64x(EXPONENT)));
    let base = _mm256_set1_pd(f64::from_bits(EXPONENT as u64));
    let (low, high) = if EQUAL {
        (doubles, _mm256_set1_pd(f64::from_bits(EXPONENT as u64) + NEAR as f64))
    } else {
        (base, doubles)
    };
    let mut counts = [0; GROUP];
    // SAFETY: four numbers of four bytes are the 16 bytes that are written, at any alignment.
    unsafe { _mm_storeu_si128(counts.as_mut_ptr().cast(), _mm256_cvttpd_epi32(_mm256_sub_pd(high, low))) };
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asof::walk;

    #[test]
    fn counts_are_those_of_the_plain_kernel() {
        if !std::arch::is_x86_feature_detected!("avx2") {
            return;
        }
        let some = [i64::MIN, i64::MIN + 1, -1, 0, 1, 1 << 40, i64::MAX - 1, i64::MAX];
        for seed in 0..20_000_usize {
            let pick = |place: usize| some[(seed.wrapping_mul(0x9e37_79b9) >> (place + 3)) % some.len()];
            let mut left: [i64; GROUP] = std::array::from_fn(pick);
            let mut near: [i64; NEAR] = std::array::from_fn(|place| pick(place + GROUP));
            left.sort_unstable();
            near.sort_unstable();
            // SAFETY: the processor was just asked for it.
            let wide = unsafe { (counts::<true>(&left, &near), counts::<false>(&left, &near)) };
            let plain = (walk::counts::<true>(&left, &near), walk::counts::<false>(&left, &near));
            assert_eq!(wide, plain, "{left:?} {near:?}");
        }
    }
}
