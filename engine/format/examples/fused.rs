//! One loop from bytes to doubles, as opposed to loops over a block that stays in the nearest cache: cycles a value, with
//! AVX-512. Decision 0016 says what follows.
//!
//! `cargo run --release -p tapestore-format --example fused`

fn main() {
    #[cfg(target_arch = "x86_64")]
    fused::measure();
    #[cfg(not(target_arch = "x86_64"))]
    println!("measured with AVX-512, which is not here");
}

#[cfg(target_arch = "x86_64")]
mod fused {
    use std::arch::x86_64::{
        __m512d, __m512i, _mm512_add_epi32, _mm512_alignr_epi32, _mm512_and_si512, _mm512_castsi512_si256,
        _mm512_cvtepi32_pd, _mm512_extracti64x4_epi64, _mm512_fmadd_pd, _mm512_fnmadd_pd, _mm512_max_epi32,
        _mm512_mul_pd, _mm512_permutexvar_epi8, _mm512_permutexvar_epi32, _mm512_set1_epi32, _mm512_set1_pd,
        _mm512_setzero_si512, _mm512_srli_epi32, _mm512_srlv_epi32, _mm512_sub_epi32, _mm512_xor_si512,
    };
    use std::hint::black_box;
    use std::time::Instant;

    use tapestore_format::codec::bitpack::pack;
    use tapestore_format::codec::group::Role;
    use tapestore_format::codec::kernel::Kernels;

    const COUNT: usize = 1024;
    const WIDTH: usize = 9;
    const GROUP: usize = 16;
    const BASE: i32 = 3;
    const POWER: f64 = 100.0;
    const FIRST: i32 = 1_000_000;

    pub(crate) fn measure() {
        let Some(kernels) = Kernels::all().find(|kernels| kernels.name == "avx512") else {
            return println!("measured with AVX-512, which is not here");
        };
        let loops = &kernels.narrow;
        let offsets = (0..COUNT as u64).map(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - WIDTH));
        let mut bytes = Vec::new();
        pack(offsets, WIDTH as u32, &mut bytes);
        let packed = bytes.len();
        // A window of the last numbers ends behind them.
        bytes.resize(packed + 64, 0);
        let close: Vec<i32> = (0..COUNT as i32).map(|row| FIRST + row * 7919 % 501).collect();
        let open: Vec<i32> = (0..COUNT as i32).map(|row| FIRST + row * 6007 % 503).collect();
        let mut numbers = vec![0; COUNT];
        let (mut apart, mut together) = (Vec::with_capacity(COUNT), vec![0.0; COUNT]);
        let cycle = cycle();
        println!("| | cycles a value |\n|-|-:|");

        let place = |numbers: &mut [i32]| {
            (loops.unpack)(black_box(&bytes[..packed]), WIDTH as u32, numbers);
            (loops.place)(BASE, 1, true, numbers);
        };
        print(cycle, "differences: unpack, zigzag and base, sum, decimal, one after another", || {
            place(&mut numbers);
            (loops.sum)(FIRST, &mut numbers);
            apart.clear();
            (loops.scale)(&numbers, 1.0, POWER, &mut apart);
            black_box(&apart);
        });
        // SAFETY: the table of AVX-512 is only listed where its instructions are there, those of these loops among them.
        print(cycle, "the same in one loop", || unsafe {
            sums(black_box(&bytes), &mut together);
            black_box(&together);
        });
        assert_eq!(apart, together);
        together.fill(0.0);
        // SAFETY: as above.
        print(
            cycle,
            "unpacking with zigzag and base in one loop, sum and decimal in loops of their own",
            || unsafe {
                offsets_of(black_box(&bytes), &mut numbers);
                (loops.sum)(FIRST, &mut numbers);
                together.clear();
                (loops.scale)(&numbers, 1.0, POWER, &mut together);
                black_box(&together);
            },
        );
        assert_eq!(apart, together);

        print(cycle, "residuals: unpack, zigzag and base, high, decimal, one after another", || {
            place(&mut numbers);
            (loops.restore)(Role::High, black_box(&close), black_box(&open), &mut numbers);
            apart.clear();
            (loops.scale)(&numbers, 1.0, POWER, &mut apart);
            black_box(&apart);
        });
        together.fill(0.0);
        // SAFETY: as above.
        print(cycle, "the same in one loop", || unsafe {
            highs(black_box(&bytes), black_box(&close), black_box(&open), &mut together);
            black_box(&together);
        });
        assert_eq!(apart, together);
        together.fill(0.0);
        // SAFETY: as above.
        print(cycle, "the same in two loops, decimal in one of its own", || unsafe {
            high_mantissas(black_box(&bytes), black_box(&close), black_box(&open), &mut numbers);
            together.clear();
            (loops.scale)(&numbers, 1.0, POWER, &mut together);
            black_box(&together);
        });
        assert_eq!(apart, together);
    }

    /// Cycles a value of a call: the least of many.
    fn print(cycle: f64, name: &str, call: impl FnMut()) {
        println!("| {name} | {:.2} |", least(call) / cycle / COUNT as f64);
    }

    fn least(mut call: impl FnMut()) -> f64 {
        let seconds = |()| {
            let start = Instant::now();
            (0..16).for_each(|_| call());
            start.elapsed().as_secs_f64() / 16.0
        };
        std::iter::repeat_n((), 2000).map(seconds).fold(f64::MAX, f64::min)
    }

    /// Seconds of a cycle: a chain of operations that wait for one another, three of one cycle each a step.
    fn cycle() -> f64 {
        const STEPS: u32 = 20_000;
        let step = |value: u64| value.wrapping_add(0x9e37_79b9_7f4a_7c15).rotate_left(7) ^ 0x55;
        let chain = || {
            let mut value = black_box(1);
            (0..STEPS).for_each(|_| value = step(value));
            black_box(value);
        };
        least(chain) / f64::from(STEPS) / 3.0
    }

    /// Sixteen numbers of [`WIDTH`] bits that begin a window: zigzag, base added.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn group(window: &[u8]) -> __m512i {
        const ORDER: ([u8; 64], [u8; 64]) = order();
        let (places, shifts) = (bytemuck::cast(ORDER.0), bytemuck::cast(ORDER.1));
        let words = _mm512_permutexvar_epi8(places, load(window));
        let offsets = _mm512_and_si512(_mm512_srlv_epi32(words, shifts), _mm512_set1_epi32((1 << WIDTH) - 1));
        let signs = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_and_si512(offsets, _mm512_set1_epi32(1)));
        let numbers = _mm512_xor_si512(_mm512_srli_epi32::<1>(offsets), signs);
        _mm512_add_epi32(numbers, _mm512_set1_epi32(BASE))
    }

    /// Which bytes of a window each lane takes, and how far they are shifted then.
    const fn order() -> ([u8; 64], [u8; 64]) {
        let (mut places, mut shifts) = ([0; 64], [0; 64]);
        let mut byte = 0;
        while byte < 64 {
            let bit = byte / 4 * WIDTH;
            places[byte] = ((bit / 8 + byte % 4) % 64) as u8;
            if byte % 4 == 0 {
                shifts[byte] = (bit % 8) as u8;
            }
            byte += 1;
        }
        (places, shifts)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load<T: bytemuck::Pod>(values: &[T]) -> __m512i {
        bytemuck::pod_read_unaligned(&bytemuck::cast_slice::<T, u8>(values)[..64])
    }

    /// Mantissas as doubles, rounded once.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn put(numbers: __m512i, out: &mut [f64]) {
        let (power, inverse) = (_mm512_set1_pd(POWER), _mm512_set1_pd(1.0 / POWER));
        let divide = |number: __m512d| {
            let near = _mm512_mul_pd(number, inverse);
            bytemuck::cast::<_, [f64; 8]>(_mm512_fmadd_pd(
                _mm512_fnmadd_pd(near, power, number),
                inverse,
                near,
            ))
        };
        out[..8].copy_from_slice(&divide(_mm512_cvtepi32_pd(_mm512_castsi512_si256(numbers))));
        out[8..16].copy_from_slice(&divide(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64::<1>(numbers))));
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,fma")]
    fn offsets_of(bytes: &[u8], out: &mut [i32]) {
        for (index, out) in out.chunks_exact_mut(GROUP).enumerate() {
            let numbers = group(&bytes[index * 2 * WIDTH..][..64]);
            out.copy_from_slice(&bytemuck::cast::<_, [i32; GROUP]>(numbers));
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,fma")]
    fn sums(bytes: &[u8], out: &mut [f64]) {
        let (zero, top) = (_mm512_setzero_si512(), _mm512_set1_epi32(GROUP as i32 - 1));
        let mut last = _mm512_set1_epi32(FIRST);
        for (index, out) in out.chunks_exact_mut(GROUP).enumerate() {
            let mut sum = group(&bytes[index * 2 * WIDTH..][..64]);
            sum = _mm512_add_epi32(sum, _mm512_alignr_epi32::<15>(sum, zero));
            sum = _mm512_add_epi32(sum, _mm512_alignr_epi32::<14>(sum, zero));
            sum = _mm512_add_epi32(sum, _mm512_alignr_epi32::<12>(sum, zero));
            sum = _mm512_add_epi32(sum, _mm512_alignr_epi32::<8>(sum, zero));
            sum = _mm512_add_epi32(sum, last);
            last = _mm512_permutexvar_epi32(top, sum);
            put(sum, out);
        }
    }

    /// Highs from the greater of open and close.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn high(bytes: &[u8], close: &[i32], open: &[i32], index: usize) -> __m512i {
        let rows = index * GROUP..(index + 1) * GROUP;
        let bound = _mm512_max_epi32(load(&close[rows.clone()]), load(&open[rows]));
        _mm512_add_epi32(bound, group(&bytes[index * 2 * WIDTH..][..64]))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,fma")]
    fn highs(bytes: &[u8], close: &[i32], open: &[i32], out: &mut [f64]) {
        for (index, out) in out.chunks_exact_mut(GROUP).enumerate() {
            put(high(bytes, close, open, index), out);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,fma")]
    fn high_mantissas(bytes: &[u8], close: &[i32], open: &[i32], out: &mut [i32]) {
        for (index, out) in out.chunks_exact_mut(GROUP).enumerate() {
            out.copy_from_slice(&bytemuck::cast::<_, [i32; GROUP]>(high(bytes, close, open, index)));
        }
    }
}
