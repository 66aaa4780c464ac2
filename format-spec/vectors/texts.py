"""Vectors of the text form of floats: text.md. Digits are found by trying, with exact fractions."""

from fractions import Fraction

from segments import F32, F64, bits32_of, bits_of

WIDTH = {F64: 52, F32: 23}                      # bits of the mantissa
SIZE = {F64: 8, F32: 4}


def exact(bits, kind):
    """The value of finite bits; behind the greatest one, the power of two that would follow."""
    width = WIDTH[kind]
    exponent = max(bits >> width, 1)
    mantissa = bits & (1 << width) - 1 | (1 << width if bits >> width else 0)
    return Fraction(mantissa) * Fraction(2) ** (exponent - width - (1023 if kind == F64 else 127))


def shortest(bits, kind):
    """Digits of a finite positive float, and the exponent of the first one."""
    value = exact(bits, kind)
    low, high = ((exact(bits + step, kind) + value) / 2 for step in (-1, 1))
    first = 0
    while Fraction(10) ** first > value:
        first -= 1
    while Fraction(10) ** (first + 1) <= value:
        first += 1
    for count in range(1, 18):
        unit = Fraction(10) ** (first + 1 - count)
        near = [digits for digits in (value // unit, value // unit + 1)
                if low < digits * unit < high or bits % 2 == 0 and digits * unit in (low, high)]
        if near:
            text = str(min(near, key=lambda digits: (abs(digits * unit - value), digits % 2)))
            return text.rstrip("0"), first + len(text) - count
    raise AssertionError("17 digits always do")


def cell_text(bits, kind):
    width, top = WIDTH[kind], 8 * SIZE[kind] - 1
    sign, bits = "-" * (bits >> top), bits & (1 << top) - 1
    if bits >> width == (1 << top - width) - 1:
        return "NaN" if bits & (1 << width) - 1 else sign + "inf"
    if not bits:
        return sign + "0"
    digits, d = shortest(bits, kind)
    if not -12 <= d < 21:
        return sign + digits[0] + ("." + digits[1:] if digits[1:] else "") + f"e{d}"
    if d < 0:
        return sign + "0." + "0" * (-d - 1) + digits
    digits = digits.ljust(d + 1, "0")
    return sign + digits[:d + 1] + ("." + digits[d + 1:] if digits[d + 1:] else "")


def texts(good, Noise):
    def text(name, title, kind, numbers):
        data = b"".join(number.to_bytes(SIZE[kind], "little") for number in numbers)
        good(f"text-{name}", "text", title, "text.md", data, type=kind, expected=[cell_text(number, kind) for number in numbers])

    for kind, of, name in ((F64, bits_of, "f64"), (F32, bits32_of, "f32")):
        width, top = WIDTH[kind], 8 * SIZE[kind] - 1
        infinity = ((1 << top - width) - 1) << width
        text(f"special-{name}", "zeros, infinities, NaNs", kind, [0, 1 << top, infinity, infinity | 1 << top, infinity + 1, (2 << top) - 1])
        text(f"ends-{name}", "the least and greatest ones, and the least normal one", kind,
             [1, 2, 3, (1 << width) - 1, 1 << width, (1 << width) + 1, infinity - 1, infinity - 2])
        text(f"powers-{name}", "powers of two, whose neighbours are unequally far, and these neighbours", kind,
             [(exponent << width) + step for exponent in range(1, infinity >> width, 61 if kind == F64 else 7) for step in (-1, 0, 1)])
        text(f"decimals-{name}", "decimals, and where plain notation ends", kind,
             [of(value) for value in (93.25, -0.00000008, 100.0, 1.5e-13, 0.1, 0.3, 1e-12, 9.99e-13, 999999.9, 16777216.0, 123456.0, 5e-5)]
             + [of(float(f"{lead}e{exponent}")) for lead in ("1", "9.5") for exponent in (-13, -12, -11, 15, 16, 17, 20, 21, 22, 23)])
        noise = Noise(top)
        text(f"random-{name}", "any bits", kind, [noise.width(top + 1) for _ in range(60)])
    ties = [bits_of(odd / 2**power) for power in range(16, 28) for odd in range(129, 255, 14)] + [bits_of(-129 / 2**21)]
    text("ties-f64", "values in the middle of two shortest forms, among others", F64, ties)
    text("ties-f32", "the same for f32", F32, [bits32_of(odd / 2**power) for power in range(5, 14) for odd in range(129, 8191, 1022)])
