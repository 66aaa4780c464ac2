//! Cycles per value of every decoding loop, for every set of instructions that the machine has, by width.
//!
//! A cycle is what one of a chain of dependent operations takes, measured in the same run; each figure is the least of
//! many repeats over a block of 1024 values that stays in the cache.
//!
//! `cargo run --release -p tapestore-format --example kernels`
//!
//! With `marks`, the table has `#` for every figure, and between calls stands what an emulator sees, which has no cycles
//! but can count instructions: `tests/aarch64/run.sh count`.

mod blocks;

use std::hint::black_box;
use std::time::Instant;

use tapestore_format::bytes::{ByteReader, ByteWriter};
use tapestore_format::codec::bins::Model;
use tapestore_format::codec::bins_encode::Coding;
use tapestore_format::codec::bitpack::{pack, packed_bytes};
use tapestore_format::codec::group::Role;
use tapestore_format::codec::int::{self, IntScratch};
use tapestore_format::codec::int_encode::Forms;
use tapestore_format::codec::kernel::{Kernels, Loops};
use tapestore_format::codec::lane::{Block, Lane, block};

const COUNT: usize = 1024;
const REPEATS: usize = 400;
const BLOCKS: usize = 16;

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

/// What is told of a loop.
#[derive(Clone, Copy)]
enum Figure {
    /// Cycles per value: seconds of a cycle.
    Cycles(f64),
    /// Where one call and where two begin and end.
    Marks,
}

impl Figure {
    fn name(self) -> &'static str {
        match self {
            Self::Cycles(_) => "cycles",
            Self::Marks => "instructions",
        }
    }

    /// Prints the figure of calls that work on `COUNT` values each.
    fn print(self, mut call: impl FnMut()) {
        match self {
            Self::Cycles(cycle) => print!(" {:.2} |", least(call) / cycle / COUNT as f64),
            Self::Marks => {
                // What is done once in a program is done before.
                call();
                for calls in [1, 2] {
                    std::thread::yield_now();
                    (0..calls).for_each(|_| call());
                }
                std::thread::yield_now();
                print!(" # |");
            }
        }
    }
}

/// Blocks of numbers of one size to work on.
struct Blocks<N> {
    out: Vec<N>,
    close: Vec<N>,
    open: Vec<N>,
    values: Block<N>,
    doubles: Vec<f64>,
}

impl<N: Lane> Blocks<N> {
    fn new() -> Self {
        let numbers =
            |factor: i64, modulus: i64| (0..COUNT as i64).map(move |i| N::of(100_000 + i * factor % modulus));
        Self {
            out: numbers(1, 2).collect(),
            close: numbers(7919, 501).collect(),
            open: numbers(6007, 503).collect(),
            values: block(),
            doubles: vec![0.0; COUNT],
        }
    }
}

/// Prints a line: one loop for every table, over numbers of one size.
fn line<N: Lane>(figure: Figure, name: &str, mut call: impl FnMut(&Loops<N>, &mut Blocks<N>)) {
    print!("| {name} of {} bits |", size_of::<N>() * 8);
    let mut blocks = Blocks::new();
    for table in Kernels::all() {
        let loops = N::loops(table);
        figure.print(|| call(loops, &mut blocks));
    }
    println!();
}

/// Unpacking by width.
fn unpacking<N: Lane>(figure: Figure, widths: std::ops::RangeInclusive<u32>) {
    for width in widths {
        let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
        let mut bytes = Vec::with_capacity(packed_bytes(COUNT, width));
        pack((0..COUNT as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask), width, &mut bytes);
        line::<N>(figure, &format!("unpack {width} bits to numbers"), |loops, blocks| {
            black_box((loops.unpack)(black_box(&bytes), width, &mut blocks.out));
        });
    }
}

/// Every other loop.
fn others<N: Lane>(figure: Figure) {
    let number = |number| black_box(N::of(number));
    let noise = |i: usize| ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
    let (bitmap, selectors): (Vec<u8>, Vec<u8>) =
        ((0..COUNT / 8).map(noise).collect(), (0..COUNT / 4).map(noise).collect());
    line::<N>(figure, "base, numbers", |loops, b| (loops.place)(number(7), number(1), false, &mut b.out));
    line::<N>(figure, "zigzag and base, numbers", |loops, b| {
        (loops.place)(number(7), number(1), true, &mut b.out);
    });
    line::<N>(figure, "multiplier, numbers", |loops, b| {
        (loops.place)(number(7), number(25), true, &mut b.out);
    });
    line::<N>(figure, "sum of differences, numbers", |loops, b| (loops.sum)(number(7), &mut b.out));
    line::<N>(figure, "sum of alternating differences, numbers", |loops, b| {
        (loops.alternate)(number(7), number(8), &mut b.out);
    });
    for role in [Role::Open, Role::High, Role::Low] {
        line::<N>(figure, &format!("predicted {role:?}, numbers"), |loops, b| {
            (loops.restore)(role, &b.close, &b.open, &mut b.out);
        });
    }
    let digits: Vec<i64> = (0..COUNT as i64).map(|row| if row % 7 == 0 { row } else { 0 }).collect();
    let mut carried = digits.clone();
    for role in [Role::Open, Role::High, Role::Low] {
        line::<N>(figure, &format!("digits carried to {role:?}, mantissas"), |loops, b| {
            (loops.carry)(role, &b.values[..COUNT], (&b.close, &digits), (&b.open, &digits), &mut carried);
        });
    }
    line::<N>(figure, "mantissas with further digits,", |loops, b| {
        (loops.finer)(&b.close, &digits, black_box(1_000_000), &mut carried);
    });
    line::<N>(figure, "sparse, numbers", |loops, b| {
        (loops.expand)(black_box(&bitmap), &b.values, number(0), &mut b.out);
    });
    line::<N>(figure, "classes, numbers", |loops, b| {
        (loops.choose)(black_box(&selectors), &b.values, [0, 200, 400, 600], &mut b.out);
    });
    line::<N>(figure, "decimals, small mantissas", |loops, b| {
        b.doubles.clear();
        (loops.scale)(&b.close, 1.0, black_box(100.0), &mut b.doubles);
    });
    line::<N>(figure, "decimals with a divisor, small mantissas", |loops, b| {
        b.doubles.clear();
        (loops.scale)(&b.close, black_box(5.0), black_box(100.0), &mut b.doubles);
    });
}

fn main() {
    let figure = if std::env::args().nth(1).as_deref() == Some("marks") {
        Figure::Marks
    } else {
        // Addition, rotation and exclusive or: three cycles a step.
        let cycle = cycle() / 3.0;
        println!("One cycle is {:.3} ns.\n", cycle * 1e9);
        Figure::Cycles(cycle)
    };
    let tables: Vec<&str> = Kernels::all().map(|table| table.name).collect();
    println!(
        "| {} per value | {} |\n| --- |{}",
        figure.name(),
        tables.join(" | "),
        " --- |".repeat(tables.len())
    );
    unpacking::<i32>(figure, 1..=31);
    unpacking::<i64>(figure, 1..=64);
    others::<i32>(figure);
    others::<i64>(figure);
    let (close, mut doubles) = (Blocks::<i64>::new().close, vec![0.0; COUNT]);
    for divisor in [1, 5] {
        once(figure, &format!("decimals, divisor {divisor}, any mantissas of 64 bits"), |table| {
            doubles.clear();
            (table.scale)(black_box(&close), divisor, 100.0, &mut doubles);
        });
    }
    let mut times = Vec::with_capacity(COUNT);
    once(figure, "times of a grid", |table| {
        times.clear();
        (table.rise)(black_box(7), 60_000_000_000, COUNT, &mut times);
    });
    let noise: Vec<u8> =
        (0..COUNT as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect();
    once(figure, "members of classes", |table| {
        black_box((table.members)(black_box(&noise), COUNT));
    });
    once(figure, "set bits of a bitmap", |table| {
        black_box((table.ones)(black_box(&noise[..COUNT / 8])));
    });
    for folded in [false, true] {
        let folded_name = if folded { "zigzag " } else { "" };
        once(figure, &format!("for encoding: lengths of {folded_name}offsets"), |table| {
            black_box((table.lengths)(black_box(&close), 100_000, folded));
        });
    }
    coded(figure);
    blocks::packings(figure);
    blocks::behind(figure);
    blocks::columns(figure);
}

/// Prints a line: a loop over numbers of 64 bits alone.
fn once(figure: Figure, name: &str, mut call: impl FnMut(&Kernels)) {
    print!("| {name} |");
    for table in Kernels::all() {
        figure.print(|| call(table));
    }
    println!();
}

/// Coded blocks: their bins in one lane or in four, with and without memory, and by the bits of offsets.
fn coded(figure: Figure) {
    let noise = |i: u64| {
        let mixed = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 8
    };
    let rows = 64 * COUNT as u64;
    // Any bytes decode as long as those of a coder do; what they end in is refused after that.
    let words: Vec<u8> = (0..8 * COUNT as u64).map(|i| noise(i) as u8).collect();
    for width in [0, 8, 24, 56, 64] {
        // Sixteen bins, one as frequent as the other.
        let mut model = vec![8, 16];
        (0..16).for_each(|_| model.extend([0, width, 2, 15]));
        // Coded, without a transform.
        let mut block = vec![0x80];
        block.put_varint(COUNT as u64 / 4);
        block.extend(&words);
        decoding(figure, &format!("coded in one lane, offsets of {width} bits"), &model, &block);
    }
    let own = |name: &str, number: &dyn Fn(u64) -> u64| {
        let numbers: Vec<i64> = (0..rows).map(|i| number(i) as i64).collect();
        let coding = Coding::new(Forms::EVERYWHERE, &numbers, None).expect("few bins");
        let mut block = Vec::new();
        coding.encode(0, usize::MAX, &mut block);
        decoding(figure, &format!("coded in four lanes, {name}"), &coding.model(), &block);
    };
    own("nothing remembered", &|i| noise(i) & 0xfff >> (noise(i + rows) & 7));
    own("a pair remembered", &|i| noise(i - i % 8) % 9 + u64::from(noise(i).is_multiple_of(10)));
    own("a mean remembered", &|i| noise(i) & 0xfff >> (noise(i / 300 + rows) % 11));
    for width in [1, 8, 16, 24, 32, 48, 56, 60] {
        own(&format!("{width} random bits"), &|i| noise(i) & ((1 << width) - 1));
    }
}

/// Prints a line: a block by a model, for every table.
fn decoding(figure: Figure, name: &str, model: &[u8], block: &[u8]) {
    let (mut ready, mut out) = (Model::default(), vec![0; COUNT]);
    ready.read(model, &mut IntScratch::default()).expect("a sound model");
    print!("| {name} |");
    for table in Kernels::all() {
        let mut scratch = IntScratch::with(table);
        figure.print(|| {
            let mut reader = ByteReader::new(black_box(block), "K16");
            let _ = black_box(int::decode(&mut reader, &mut out, &mut scratch, Some(&ready)));
        });
    }
    println!();
}
