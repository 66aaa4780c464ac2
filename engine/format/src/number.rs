//! Decimal text to numbers: the value that `str::parse` gives, sooner for the decimals that markets write.
//!
//! A mantissa below 2^53 and a power of ten up to 10^22 are exact as `f64`, so their quotient, rounded once, is the `f64`
//! nearest to the text (Clinger, How to Read Floating Point Numbers Accurately, 1990); so is that of a longer mantissa divided
//! as integers. Other text goes to the standard library. Digits are taken eight at a time, as bytes of one word.

/// Mantissas up to here are exact as `f64`.
const MANTISSA_MAX: u64 = 1 << 53;
/// Digits whose number fits in 64 bits whatever they are.
const DIGITS_MAX: usize = 19;

/// Powers of ten that are exact as `f64`.
pub(crate) const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// A number as `str::parse::<f64>` reads it, `inf` and `NaN` among them; `None` if it is none.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    decimal(text).or_else(|| std::str::from_utf8(text).ok()?.parse().ok())
}

/// A plain decimal, if its value is exact after one division.
fn decimal(text: &[u8]) -> Option<f64> {
    let (negative, rest) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let (whole, rest) = digits(0, rest);
    let before = text.len() - usize::from(negative) - rest.len();
    let (mut mantissa, mut scale) = (whole, 0);
    if let Some((b'.', fraction)) = rest.split_first() {
        let (all, rest) = digits(whole, fraction);
        (mantissa, scale) = (all, fraction.len());
        if !rest.is_empty() || scale == 0 {
            return None;
        }
    } else if !rest.is_empty() {
        return None;
    }
    if before == 0 || before + scale > DIGITS_MAX {
        return None;
    }
    while mantissa > MANTISSA_MAX && scale > 0 && mantissa.is_multiple_of(10) {
        mantissa /= 10;
        scale -= 1;
    }
    let value =
        if mantissa <= MANTISSA_MAX { mantissa as f64 / POWERS[scale] } else { quotient(mantissa, scale)? };
    Some(if negative { -value } else { value })
}

/// A longer mantissa over a power of ten: divided as integers, 64 bits further, so that at least 60 bits of the quotient are
/// known and whether anything is left; that is rounded once.
fn quotient(mantissa: u64, scale: usize) -> Option<f64> {
    const SCALE_MAX: u32 = 17;
    let scale = u32::try_from(scale).ok().filter(|scale| *scale <= SCALE_MAX)?;
    let (number, power) = (u128::from(mantissa) << 64, u128::from(10u64.pow(scale)));
    let (whole, left) = (number / power, number % power);
    Some((whole | u128::from(left != 0)) as f64 * 2f64.powi(-64))
}

/// Appends the leading digits of `text` to a number, and returns what follows them. Of more than [`DIGITS_MAX`] the number
/// means nothing.
#[inline]
fn digits(mut number: u64, mut text: &[u8]) -> (u64, &[u8]) {
    const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    loop {
        // Bytes beyond the text are zero, which is no digit.
        let word = match text.first_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => text.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        // 0 to 9 in each byte that is a digit. Adding 0x76 to anything else sets the highest bit, or it is set.
        let values = word ^ 0x3030_3030_3030_3030;
        let others = (values | values.wrapping_add(0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080;
        let count = others.trailing_zeros() as usize / 8;
        if count == 0 {
            return (number, text);
        }
        number = number.wrapping_mul(TENS[count]).wrapping_add(eight(values << (64 - 8 * count)));
        text = &text[count..];
        if count < 8 || text.is_empty() {
            return (number, text);
        }
    }
}

/// The number of eight digits, the first in the lowest byte: neighbours are put together, then pairs, then fours.
#[inline]
fn eight(values: u64) -> u64 {
    const PAIR: u64 = 0x0000_00FF_0000_00FF;
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let low = (pairs & PAIR).wrapping_mul(0x000F_4240_0000_0064);
    let high = (pairs >> 16 & PAIR).wrapping_mul(0x0000_2710_0000_0001);
    low.wrapping_add(high) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(text: &str) {
        let (expected, given) = (text.parse::<f64>().ok(), parse_f64(text.as_bytes()));
        assert_eq!(
            given.map(f64::to_bits),
            expected.map(f64::to_bits),
            "{text:?}: {given:?}, not {expected:?}"
        );
    }

    #[test]
    fn decimals_of_every_shape_are_what_the_standard_library_reads() {
        let mut state = 7u64;
        let mut random = move |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        for _ in 0..200_000 {
            let (before, after) = (random(22), random(22));
            let mut text = String::from(if random(4) == 0 { "-" } else { "" });
            // Often zeros at the end, as exchanges write them.
            let zeros = if random(2) == 0 { random(after + 1) } else { 0 };
            for place in 0..before + after {
                if place == before {
                    text.push('.');
                }
                let digit = if place + zeros >= before + after { 0 } else { random(10) as u8 };
                text.push(char::from(b'0' + digit));
            }
            same(&text);
        }
    }

    #[test]
    fn every_prefix_and_every_strange_byte_is_what_the_standard_library_reads() {
        for text in [
            "",
            "-",
            "+",
            ".",
            "-.",
            "5.",
            ".5",
            "+5",
            "-0",
            "0.0",
            "-0.0",
            "1e5",
            "1E-5",
            "inf",
            "-inf",
            "NaN",
            "1_000",
            " 1",
            "1 ",
            "--1",
            "1.2.3",
            "0x10",
            "9007199254740992",
            "9007199254740993",
            "9007199254740993.0",
            "9007199254740994.00",
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999",
            "0.0000000000000000000001",
            "123456789.12345678",
            "94500.12000000",
            "00000000000000000000.5",
            "1234567.00000000000000000000000000",
        ] {
            same(text);
        }
        let good = *b"12345678.87654321";
        for place in 0..good.len() {
            for byte in 0..128 {
                let mut text = good;
                text[place] = byte;
                same(std::str::from_utf8(&text).expect("ASCII"));
                same(std::str::from_utf8(&text[..=place]).expect("ASCII"));
            }
        }
        assert_eq!(parse_f64(b"1\xFF"), None);
    }
}
