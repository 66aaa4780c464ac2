"""The text form of rows: text.md."""

import struct
from fractions import Fraction
from functools import lru_cache

F64, F32, BOOL, STRING = 2, 3, 5, 6


def layout(digits, exponent, negative):
    """Digits d1 d2 … with the exponent of the first one."""
    digits = digits.rstrip("0") or "0"
    if -12 <= exponent < 21:
        if exponent < 0:
            out = "0." + "0" * (-exponent - 1) + digits
        elif len(digits) <= exponent + 1:
            out = digits + "0" * (exponent + 1 - len(digits))
        else:
            out = digits[:exponent + 1] + "." + digits[exponent + 1:]
    else:
        out = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{exponent}"
    return "-" + out if negative else out


def special(value, bits, sign):
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "-0" if bits >> sign & 1 else "0"
    return None


@lru_cache(1 << 16)
def f64(bits):
    value = struct.unpack("<d", struct.pack("<q", bits))[0]
    found = special(value, bits, 63)
    if found:
        return found
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, part = mantissa.partition(".")
    digits = (whole + part).lstrip("0")
    first = len(whole) - 1 if whole.strip("0") else -1 - (len(part) - len(part.lstrip("0")))
    return layout(digits, first + int(exponent or 0), value < 0)


@lru_cache(1 << 16)
def f32(bits):
    """The fewest digits within the interval that rounds to the value; exact, as decimals may not be rounded twice."""
    value = struct.unpack("<f", struct.pack("<I", bits))[0]
    found = special(value, bits, 31)
    if found:
        return found
    magnitude = bits & 0x7FFFFFFF
    exact = Fraction(abs(value))
    step = Fraction(2) ** (max(magnitude >> 23, 1) - 150)
    below = step / 2 if magnitude & 0x7FFFFF == 0 and magnitude >> 23 > 1 else step
    low, high = exact - below / 2, exact + step / 2
    even = magnitude & 1 == 0
    inside = lambda x: low <= x <= high if even else low < x < high
    exponent = int(f"{abs(value):.16e}".partition("e")[2])
    for count in range(1, 10):
        unit = Fraction(10) ** (exponent + 1 - count)
        floor = exact // unit
        near = [n for n in (floor, floor + 1) if inside(n * unit)]
        if near:
            best = min(near, key=lambda n: (abs(n * unit - exact), n & 1))
            digits = str(best)
            return layout(digits, exponent + len(digits) - count, value < 0)
    raise AssertionError("nine digits always tell an f32")


def quoted(text):
    if not text or text[0] == " " or text[-1] == " " or any(c in text for c in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text


FORMS = {F64: f64, F32: f32, BOOL: lambda value: "true" if value else "false", STRING: lambda value: quoted(value.decode())}


def csv(columns, rows):
    """Lines of the form, without their line feeds: columns are (name, type), rows (time, cells)."""
    yield ",".join(["time"] + [quoted(name) for name, _ in columns])
    forms = [FORMS.get(kind, str) for _, kind in columns]
    for time, cells in rows:
        yield ",".join([str(time)] + ["" if cell is None else form(cell) for form, cell in zip(forms, cells)])
