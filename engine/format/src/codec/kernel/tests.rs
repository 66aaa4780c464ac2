//! Every table of loops beside the scalar one.

use super::super::lane::block;
use super::*;
use crate::codec::digits;

/// Numbers that mix all lengths and signs.
fn edges(count: usize) -> Vec<i64> {
    let noise = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i << 37) ^ (i >> 3);
    let number = |i: u64| match i % 7 {
        0 => i64::MIN >> (i % 64),
        1 => i64::MAX >> (i % 64),
        2 => 0,
        3 => -1,
        _ => (noise(i) as i64) >> (i % 61),
    };
    (0..count as u64).map(number).collect()
}

const COUNTS: [usize; 14] = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 1000, 1023, 1024];

/// Otherwise the tests below would compare the scalar table with itself.
#[cfg(target_arch = "aarch64")]
#[test]
fn vectors_are_used_on_every_machine_of_aarch64() {
    let names: Vec<_> = Kernels::all().map(|kernels| kernels.name).collect();
    assert_eq!(names, ["scalar", "neon"]);
}

#[test]
fn every_kernel_unpacks_as_the_scalar_one() {
    for kernels in Kernels::all() {
        for width in 0..=64u32 {
            for count in COUNTS {
                let bytes = bitpack::packed_bytes(count, width);
                for fill in 0..3u64 {
                    let byte = |i: usize| match fill {
                        0 => (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0],
                        1 => 0xff,
                        _ => (i % 3 * 0x55) as u8,
                    };
                    let bytes: Vec<u8> = (0..bytes).map(byte).collect();
                    unpacks_alike::<i64>(kernels, &bytes, width, count);
                    unpacks_alike::<i32>(kernels, &bytes, width, count);
                }
            }
        }
    }
}

fn unpacks_alike<N: Lane>(kernels: &Kernels, bytes: &[u8], width: u32, count: usize) {
    let (mut expected, mut found) = (vec![N::of(-1); count], vec![N::of(-2); count]);
    let padded = bitpack::unpack(bytes, width, &mut expected);
    assert_eq!((N::loops(kernels).unpack)(bytes, width, &mut found), padded);
    assert_eq!(found, expected, "{} width {width} count {count}", kernels.name);
}

/// Every loop but unpacking and scaling, on numbers of one size.
fn works_alike<N: Lane>(kernels: &Kernels, count: usize) {
    let (loops, scalar) = (N::loops(kernels), N::loops(&SCALAR));
    let numbers: Vec<N> = edges(count).into_iter().map(N::of).collect();
    let apply = |change: &dyn Fn(&mut [N])| {
        let mut out = numbers.clone();
        change(&mut out);
        out
    };
    for base in [0, 1, -77, i64::MIN, i64::MAX].map(N::of) {
        for (multiplier, zigzag) in [(1, false), (1, true), (25, false), (-3, true)] {
            let multiplier = N::of(multiplier);
            assert_eq!(
                apply(&|out| (loops.place)(base, multiplier, zigzag, out)),
                apply(&|out| (scalar.place)(base, multiplier, zigzag, out))
            );
        }
        assert_eq!(apply(&|out| (loops.sum)(base, out)), apply(&|out| (scalar.sum)(base, out)));
        let second = N::of(77);
        let mut expected = numbers.clone();
        for row in 0..count {
            let before = if row < 2 { [base, second][row] } else { expected[row - 2] };
            expected[row] = expected[row].plus(before);
        }
        assert_eq!(apply(&|out| (loops.alternate)(base, second, out)), expected);
    }
    let (close, mut open) = (numbers.clone(), numbers.clone());
    open.rotate_left(count / 3);
    for role in Role::ALL {
        assert_eq!(
            apply(&|out| (loops.restore)(role, &close, &open, out)),
            apply(&|out| group::restore(role, &close, &open, out))
        );
    }
    let digits = |seed: usize| (0..count).map(|row| ((row * seed) % 5) as i64 - 2).collect::<Vec<_>>();
    let (closes, opens) = (digits(7), digits(3));
    // Few numbers, so that they are often equal.
    let few = |by: usize| (0..count).map(|row| N::of((row / by % 3) as i64)).collect::<Vec<_>>();
    for (own, close, open) in [(&few(2), &few(3), &few(5)), (&numbers, &close, &open)] {
        for role in Role::ALL {
            let (mut found, mut expected) = (vec![9; count], vec![8; count]);
            (loops.carry)(role, own, (close, &closes), (open, &opens), &mut found);
            digits::carry(role, own, (close, &closes), (open, &opens), &mut expected);
            assert_eq!(found, expected, "{role:?}");
        }
        for unit in [1, 1000, i64::MAX, -5] {
            let (mut found, mut expected) = (vec![9; count], vec![8; count]);
            (loops.finer)(own, &closes, unit, &mut found);
            digits::finer(own, &closes, unit, &mut expected);
            assert_eq!(found, expected);
        }
    }
    let mut values = block::<N>();
    for (slot, number) in values.iter_mut().zip(edges(PADDED)) {
        *slot = N::of(number);
    }
    for fill in [0u64, 1, 2, 3] {
        let byte = |i: usize| match fill {
            0 => 0,
            1 => 0xff,
            _ => ((i as u64 + fill).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8,
        };
        let bitmap: Vec<u8> = (0..count.div_ceil(8)).map(byte).collect();
        assert_eq!(
            apply(&|out| (loops.expand)(&bitmap, &values, N::of(-5), out)),
            apply(&|out| (scalar.expand)(&bitmap, &values, N::of(-5), out))
        );
        let selectors: Vec<u8> = (0..count.div_ceil(4)).map(byte).collect();
        let mut members = [0; 4];
        for row in 0..count {
            members[usize::from(selectors[row / 4] >> (row % 4 * 2) & 3)] += 1;
        }
        let starts = [0, members[0], members[0] + members[1], count - members[3]];
        assert_eq!(
            apply(&|out| (loops.choose)(&selectors, &values, starts, out)),
            apply(&|out| (scalar.choose)(&selectors, &values, starts, out))
        );
    }
}

#[test]
fn every_kernel_works_as_the_scalar_one() {
    for kernels in Kernels::all() {
        for count in COUNTS {
            works_alike::<i64>(kernels, count);
            works_alike::<i32>(kernels, count);
        }
    }
}

#[test]
fn every_kernel_counts_lengths_as_the_scalar_one() {
    for count in COUNTS {
        let numbers = edges(count);
        for (base, folded) in [(0, false), (0, true), (-77, true), (i64::MIN, false)] {
            let mut expected = [0; 65];
            for number in &numbers {
                let offset = number.wrapping_sub(base);
                let offset = if folded { super::super::int::zigzag(offset) } else { offset as u64 };
                expected[bitpack::bits(offset) as usize] += 1;
            }
            for kernels in Kernels::all() {
                assert_eq!((kernels.lengths)(&numbers, base, folded), expected, "{}", kernels.name);
            }
        }
    }
}

#[test]
fn every_kernel_counts_bits_and_members() {
    for count in COUNTS {
        let bits: Vec<u8> = edges(count.div_ceil(4)).into_iter().map(|number| number as u8).collect();
        // Bits behind the last selector are zero, as is checked before they are counted.
        let mut selectors = bits.clone();
        if let Some(last) = selectors.last_mut().filter(|_| !count.is_multiple_of(4)) {
            *last &= (1 << (count % 4 * 2)) - 1;
        }
        let mut members = [0; 4];
        for row in 0..count {
            members[usize::from(selectors[row / 4] >> (row % 4 * 2) & 3)] += 1;
        }
        let ones: usize = (0..bits.len() * 8).filter(|bit| bits[bit / 8] >> (bit % 8) & 1 == 1).count();
        for kernels in Kernels::all() {
            assert_eq!((kernels.members)(&selectors, count), members, "{} of {count}", kernels.name);
            assert_eq!((kernels.ones)(&bits), ones, "{} of {count}", kernels.name);
        }
    }
}

#[test]
fn every_kernel_rises_by_steps_behind_what_is_there() {
    for kernels in Kernels::all() {
        for count in COUNTS {
            for (first, step) in [(0, 1), (-5, 60_000_000_000), (i64::MAX - 3, 7), (9, 0)] {
                let mut found = vec![1, 2, 3];
                (kernels.rise)(first, step, count, &mut found);
                let number = |index| i64::wrapping_add(first, i64::wrapping_mul(index, step));
                let expected: Vec<i64> = [1, 2, 3].into_iter().chain((0..count as i64).map(number)).collect();
                assert_eq!(found, expected, "{}", kernels.name);
            }
        }
    }
}

#[test]
fn sums_are_sums() {
    let mut out = edges(9);
    let wanted: Vec<i64> =
        (0..9).map(|i| edges(9)[..=i].iter().fold(7, |sum: i64, n| sum.wrapping_add(*n))).collect();
    sum(7, &mut out);
    assert_eq!(out, wanted);
}

/// The loop for products with the divisor below 2^51.
fn divides_alike<N: Lane>(kernels: &Kernels, numbers: &[i64], divisor: i64, power: f64) {
    let fits = |number: &&i64| {
        N::of(**number).wide() == **number
            && number.checked_mul(divisor).is_some_and(|product| product.unsigned_abs() < 1 << 51)
    };
    let numbers: Vec<N> = numbers.iter().filter(fits).map(|number| N::of(*number)).collect();
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    let wide: Vec<i64> = numbers.iter().map(|number| number.wide()).collect();
    scale(&wide, divisor, power, &mut expected);
    (N::loops(kernels).scale)(&numbers, divisor as f64, power, &mut found);
    assert_eq!(found.len(), numbers.len());
    for ((found, expected), number) in found.iter().zip(&expected).zip(&numbers) {
        let same = found.to_bits() == expected.to_bits();
        assert!(same, "{}: {number:?} * {divisor} / {power:e}: {found:e}", kernels.name);
    }
}

#[test]
fn every_kernel_divides_as_the_scalar_one() {
    let mut numbers = edges(4096);
    // Around where integers stop being exact, and around ties of the quotient.
    for bit in 0..63 {
        numbers.extend([-2, -1, 0, 1, 2].map(|by| (1i64 << bit) + by));
        numbers.extend([-2, -1, 0, 1, 2].map(|by| by - (1i64 << bit)));
    }
    let mut state = 7u64;
    for _ in 0..200_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        numbers.push((state as i64) >> (state % 59));
    }
    for kernels in Kernels::all() {
        for exponent in 0..=22 {
            let power = 10f64.powi(exponent);
            for divisor in [1, 5, 25, 12_345_678_901] {
                let (mut expected, mut found) = (Vec::new(), Vec::new());
                scale(&numbers, divisor, power, &mut expected);
                (kernels.scale)(&numbers, divisor, power, &mut found);
                assert_eq!(found.len(), numbers.len());
                for ((found, expected), number) in found.iter().zip(&expected).zip(&numbers) {
                    let same = found.to_bits() == expected.to_bits();
                    assert!(same, "{}: {number} * {divisor} / 10^{exponent}: {found:e}", kernels.name);
                }
                divides_alike::<i64>(kernels, &numbers, divisor, power);
                divides_alike::<i32>(kernels, &numbers, divisor, power);
            }
        }
    }
}
