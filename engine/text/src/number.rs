//! Numbers as text: the shortest form that reads back to the same bits, without an exponent where that stays short.

/// Appends the shortest decimal form of `value` that reads back to the same bits.
///
/// `1`, `-0`, `93.25`, `0.00000008`; an exponent only from 1e21 up and below 1e-12; `inf`, `-inf` and `NaN` (whose
/// payload text cannot carry).
pub fn push_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        push_plain(out, ryu::Buffer::new().format_finite(value));
    } else {
        push_special(out, value.is_nan(), value.is_sign_negative());
    }
}

/// The same for single precision.
pub fn push_f32(out: &mut Vec<u8>, value: f32) {
    if value.is_finite() {
        push_plain(out, ryu::Buffer::new().format_finite(value));
    } else {
        push_special(out, value.is_nan(), value.is_sign_negative());
    }
}

/// Appends an integer.
pub fn push_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn push_special(out: &mut Vec<u8>, nan: bool, negative: bool) {
    out.extend_from_slice(match (nan, negative) {
        (true, _) => b"NaN",
        (false, true) => b"-inf",
        (false, false) => b"inf",
    });
}

/// Rewrites the shortest form as `ryu` gives it (`100.0`, `8e-8`, `1.5e20`).
fn push_plain(out: &mut Vec<u8>, shortest: &str) {
    let Some((mantissa, exponent)) = shortest.split_once('e') else {
        out.extend_from_slice(shortest.strip_suffix(".0").unwrap_or(shortest).as_bytes());
        return;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-12..21).contains(&exponent) {
        out.extend_from_slice(shortest.as_bytes());
        return;
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    out.extend_from_slice(sign.as_bytes());
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-exponent) as usize - 1, b'0');
        out.extend_from_slice(whole.as_bytes());
        out.extend_from_slice(fraction.as_bytes());
    } else {
        // From 1e16 on the shortest form has at most 17 digits, so the fraction ends before the point.
        out.extend_from_slice(whole.as_bytes());
        out.extend_from_slice(fraction.as_bytes());
        out.resize(out.len() + (exponent as usize).saturating_sub(fraction.len()), b'0');
    }
}

/// `12,345,678`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `812 B`, `4.2 kB`, `1.5 MB`, `2.1 GB` (powers of ten).
pub fn bytes(value: u64) -> String {
    match value {
        0..1000 => format!("{value} B"),
        1000..1_000_000 => format!("{:.1} kB", value as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value as f64 / 1e6),
        _ => format!("{:.1} GB", value as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        push_f64(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_take_their_shortest_plain_form() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (100.0, "100"),
            (93.25, "93.25"),
            (8e-8, "0.00000008"),
            (-1.5e-7, "-0.00000015"),
            (1e16, "10000000000000000"),
            (1.2345e18, "1234500000000000000"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "NaN"),
            (1e300, "1e300"),
            (5e-324, "5e-324"),
            // In the middle of its two shortest forms: the even digit (text.md).
            (129.0 / 2_097_152.0, "0.00006151199340820312"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn every_float_reads_back_to_its_bits() {
        let mut state = 7_u64;
        for round in 0..200_000_u64 {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z ^= z >> 27;
            let value = match round % 3 {
                0 => f64::from_bits(z),
                1 => (z % 1_000_000_000) as f64 / 1e8,
                _ => (z >> 12) as f64 * [1.0, 1e-12, 1e6, 0.1][(z % 4) as usize],
            };
            if !value.is_nan() {
                assert_eq!(text(value).parse::<f64>().unwrap().to_bits(), value.to_bits(), "{value:e}");
            }
            let single = f32::from_bits(z as u32);
            let mut out = Vec::new();
            push_f32(&mut out, single);
            if !single.is_nan() {
                let read: f32 = String::from_utf8(out).unwrap().parse().unwrap();
                assert_eq!(read.to_bits(), single.to_bits());
            }
        }
    }

    #[test]
    fn counts_and_sizes_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!([bytes(999), bytes(4200), bytes(1_500_000)], ["999 B", "4.2 kB", "1.5 MB"]);
    }
}
