//! Cycles per value of every decoding loop, for every set of instructions that the machine has, by width.
//!
//! A cycle is what one of a chain of dependent operations takes, measured in the same run; each figure is the least of
//! many repeats over a block of 1024 values that stays in the cache.
//!
//! `cargo run --release -p tapestore-format --example kernels`

use std::hint::black_box;
use std::time::Instant;

use tapestore_format::codec::bitpack::{pack, packed_bytes};
use tapestore_format::codec::group::Role;
use tapestore_format::codec::kernel::Kernels;

const COUNT: usize = 1024;
const REPEATS: usize = 400;
const BLOCKS: usize = 16;

/// A loop with a table, numbers and doubles to work on.
type Loop<'a> = dyn FnMut(&Kernels, &mut [i64], &mut [f64]) + 'a;

/// Least seconds of one call.
fn least(mut call: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..REPEATS {
        let start = Instant::now();
        (0..BLOCKS).for_each(|_| call());
        best = best.min(start.elapsed().as_secs_f64() / BLOCKS as f64);
    }
    best
}

/// Seconds of three cycles, in which dependent operations follow one another.
fn cycle() -> f64 {
    let steps = 20_000u64;
    least(|| {
        let mut value = black_box(1u64);
        for _ in 0..steps {
            value = three_steps(value);
        }
        black_box(value);
    }) / steps as f64
}

/// A chain of three dependent operations of one cycle each.
#[inline]
fn three_steps(value: u64) -> u64 {
    value.wrapping_add(0x9e37_79b9_7f4a_7c15).rotate_left(7) ^ 0x55
}

fn main() {
    // Addition, rotation and exclusive or: three cycles a step.
    let cycle = cycle() / 3.0;
    println!("one cycle is {:.3} ns", cycle * 1e9);
    let per_value = |seconds: f64| seconds / cycle / COUNT as f64;
    let tables: Vec<&Kernels> = Kernels::all().collect();
    print!("{:24}", "cycles per value");
    tables.iter().for_each(|table| print!(" {:>8}", table.name));
    println!();
    let mut out = vec![0i64; COUNT];
    for width in 1..=64 {
        let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
        let mut bytes = Vec::with_capacity(packed_bytes(COUNT, width));
        pack((0..COUNT as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask), width, &mut bytes);
        print!("unpack {width:2} bits          ");
        for table in &tables {
            let seconds = least(|| {
                black_box((table.unpack)(black_box(&bytes), width, &mut out));
            });
            print!(" {:8.2}", per_value(seconds));
        }
        println!();
    }
    let close: Vec<i64> = (0..COUNT as i64).map(|i| 100_000 + i * 7919 % 501).collect();
    let open: Vec<i64> = (0..COUNT as i64).map(|i| 100_000 + i * 6007 % 503).collect();
    let mut doubles = vec![0.0; COUNT];
    let mut line = |name: &str, call: &mut Loop<'_>| {
        print!("{name:24}");
        for table in &tables {
            print!(" {:8.2}", per_value(least(|| call(table, &mut out, &mut doubles))));
        }
        println!();
    };
    line("base", &mut |table, out, _| (table.place)(black_box(7), 1, false, out));
    line("zigzag and base", &mut |table, out, _| (table.place)(black_box(7), 1, true, out));
    line("multiplier", &mut |table, out, _| (table.place)(black_box(7), black_box(25), true, out));
    line("sum of differences", &mut |table, out, _| (table.sum)(black_box(7), out));
    for role in [Role::Open, Role::High, Role::Low] {
        line(&format!("predicted {role:?}"), &mut |table, out, _| (table.restore)(role, &close, &open, out));
    }
    line("decimals", &mut |table, _, doubles| (table.scale)(black_box(&close), 1, 100.0, doubles));
    line("decimals with divisor", &mut |table, _, doubles| {
        (table.scale)(black_box(&close), black_box(5), 100.0, doubles);
    });
}
