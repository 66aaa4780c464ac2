//! Kernels that are compiled twice: for any processor, and with AVX2 where there is such.
//!
//! Both are the same source, plain loops over whole lanes without a branch, so that they differ in speed only: there is no
//! contraction of products and sums in either.

#![expect(clippy::inline_always, reason = "kernels are compiled with the vectors of their caller")]

/// Declares a function that runs `$body`, an `#[inline(always)]` function, with the widest vectors of this machine.
macro_rules! widest {
    ($(#[$docs:meta])* $visible:vis $name:ident = $body:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $out:ty)?) => {
        $(#[$docs])*
        $visible fn $name($($argument: $kind),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn with_avx2($($argument: $kind),*) $(-> $out)? {
                    $body($($argument),*)
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the line above says that there is AVX2, which is all that the function asks for.
                    return unsafe { with_avx2($($argument),*) };
                }
            }
            $body($($argument),*)
        }
    };
}

pub(crate) use widest;

#[inline(always)]
fn first_repeat_body(column: &[f64], from: usize, end: usize) -> usize {
    const WIDE: usize = 32;
    let mut row = from;
    while row + WIDE <= end {
        let (before, now) = (&column[row - 1..row - 1 + WIDE], &column[row..row + WIDE]);
        let mut any = false;
        for (before, now) in before.iter().zip(now) {
            any |= before.to_bits() == now.to_bits();
        }
        if any {
            break;
        }
        row += WIDE;
    }
    while row < end && column[row].to_bits() != column[row - 1].to_bits() {
        row += 1;
    }
    row
}

widest! {
    /// The first row of `from..end` whose value is bit for bit that of the row before; `end` if there is none. `from` is
    /// above zero.
    pub(crate) first_repeat = first_repeat_body(column: &[f64], from: usize, end: usize) -> usize
}

#[inline(always)]
fn is_run_body(time: &[i64], step: i64) -> bool {
    let off = time.windows(2).fold(0, |off, pair| off | (pair[1].wrapping_sub(pair[0]) ^ step));
    off == 0
}

widest! {
    /// Whether every time is a step after the one before.
    pub(crate) is_run = is_run_body(time: &[i64], step: i64) -> bool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_found_wherever_they_are() {
        for at in 1..100_usize {
            let mut column: Vec<f64> = (0..100).map(f64::from).collect();
            column[at] = column[at - 1];
            for from in 1..=90 {
                let plain = (from..90).find(|row| column[*row] == column[*row - 1]).unwrap_or(90);
                assert_eq!(first_repeat(&column, from, 90), plain);
                assert_eq!(first_repeat_body(&column, from, 90), plain);
            }
        }
    }
}
