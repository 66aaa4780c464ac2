"""What is inside blocks: codecs.md. Rules K1, K2, K10 to K16.

A block gives a list of numbers: integers as they are, floats by their bits (f64 signed, f32 unsigned), or strings as bytes. `None` is null.
"""

import struct
from itertools import accumulate

from .basics import MASK, STRING_BYTES, wrap, wrap_all

PLAIN, DELTA, GROUP, ALTERNATE = 0, 1, 2, 3


def unpack(cur, count, width):
    """Bit packing, lowest bits first; left-over bits are zero (K1)."""
    size = (count * width + 7) // 8
    data = bytes(cur.take(size))
    if width == 0:
        return [0] * count
    spare = size * 8 - count * width
    if spare and data[-1] >> (8 - spare):
        cur.fail("left-over bits are not zero")
    if width == 8:
        return list(data)
    mask, out, get = (1 << width) - 1, [], int.from_bytes
    for start in range(0, size, width):                       # eight numbers take `width` bytes
        group = get(data[start:start + width], "little")
        for shift in range(0, width * 8, width):
            out.append(group >> shift & mask)
    del out[count:]
    return out


def place(offsets, base, multiplier, zigzag):
    if zigzag:
        offsets = [(offset >> 1) ^ -(offset & 1) for offset in offsets]
    if multiplier == 1:
        return wrap_all([base + offset for offset in offsets])
    return wrap_all([base + multiplier * offset for offset in offsets])


def counted(cur, most):
    """K1: counts are 1 to n."""
    count = cur.varint()
    if not 1 <= count <= most:
        cur.fail(f"a count of {count}, 1 to {most} allowed")
    return count


def width_of(cur, most):
    width = cur.u8()
    if width > most:
        cur.fail(f"a width of {width}, at most {most}")
    return width


class Model:
    """K15: the bins of a column with flag 32, and which of them each slot belongs to."""

    def __init__(self, cur):
        self.log = cur.u8()
        count = cur.varint()
        if not 5 <= self.log <= 14 or not 1 <= count <= 1024:
            cur.fail(f"a model of {count} bins, logarithm {self.log}")
        lower, begin, self.bins, self.slots = 0, 0, [], []
        for number in range(count):
            places, width = cur.u8(), cur.u8()
            lower = wrap(lower + cur.svarint())
            frequency = cur.varint() + 1
            if places > 18 or width > 64 or begin + frequency > 1 << self.log:
                cur.fail(f"bin {number} of a model")
            self.bins.append((10**places, width, lower, begin, frequency))
            self.slots += [number] * frequency
            begin += frequency
        if begin != 1 << self.log:
            cur.fail("frequencies of a model do not add up")
        cur.done()


def coded(cur, n, model):
    """K16: the numbers of a coded block, before the transform."""
    cur.rule = "K16"
    count = cur.varint()
    if count > n:
        cur.fail(f"{count} words for {n} numbers")
    state = cur.u32()
    words = iter(struct.unpack(f"<{count}H", cur.take(2 * count)))
    if state < 1 << 16:
        cur.fail(f"a stored state of {state}")
    mask, chosen = (1 << model.log) - 1, []
    for _ in range(n):
        slot = state & mask
        found = model.bins[model.slots[slot]]
        chosen.append(found)
        state = found[4] * (state >> model.log) + slot - found[3]
        if state < 1 << 16:
            word = next(words, None)
            if word is None:
                cur.fail("words are missing")
            state = state << 16 | word
    if state != 1 << 16 or next(words, None) is not None:
        cur.fail("the state does not end where it has to, or words are left")
    total = sum(found[1] for found in chosen)
    bits, values = int.from_bytes(cur.take((total + 7) // 8), "little"), []
    for scale, width, lower, _, _ in chosen:
        values.append(wrap((lower + (bits & (1 << width) - 1)) * scale))
        bits >>= width
    if bits:
        cur.fail("left-over bits are not zero")
    return values


def summed(first, values):
    return wrap_all(list(accumulate(values, initial=first))[1:])


def integers(cur, n, inner=False, model=None):
    """An integer block of n numbers; gives them and the transform, of which *group* is left to the caller."""
    head = cur.u8()
    packing, transform, zigzag, multiplied = head & 7, head >> 3 & 3, head >> 5 & 1, head >> 6 & 1
    if (head & 0x60 and packing not in (1, 2, 7)) or head >> 7 and (model is None or packing):
        cur.fail(f"header {head:#04x} of an integer block")
    if inner and (packing not in (0, 1, 2, 6) or transform not in (PLAIN, DELTA)):
        cur.fail(f"header {head:#04x} of an inner block")
    first = cur.svarint() if transform in (DELTA, ALTERNATE) else 0
    second = cur.svarint() if transform == ALTERNATE else 0
    multiplier = cur.varint() if multiplied else 1
    if head >> 7:
        values = coded(cur, n, model)
    elif packing == 0:
        values = [cur.svarint()] * n
    elif packing == 1:
        base = cur.svarint()
        values = place(unpack(cur, n, width_of(cur, 64)), base, multiplier, zigzag)
    elif packing == 2:
        base = cur.svarint()
        low = width_of(cur, 63)
        high = width_of(cur, 64 - low)
        patches = counted(cur, n)
        positions = unpack(cur, patches, (n - 1).bit_length())
        tops = unpack(cur, patches, high)
        offsets = unpack(cur, n, low)
        for position, top in zip(positions, tops):
            if position >= n:
                cur.fail(f"a patch at {position} of {n}")                             # K2
            offsets[position] |= top << low
        values = place(offsets, base, multiplier, zigzag)
    elif packing == 3:
        runs = counted(cur, n)
        inner_values = integers(cur, runs, True)[0]
        lengths = [length + 1 for length in integers(cur, runs, True)[0]]
        if min(lengths) < 1 or sum(lengths) != n:
            cur.fail("lengths of runs do not add up")                                 # K2
        values = [value for value, length in zip(inner_values, lengths) for _ in range(length)]
    elif packing == 4:
        distinct = counted(cur, n)
        table = integers(cur, distinct, True)[0]
        codes = unpack(cur, n, (distinct - 1).bit_length())
        if max(codes) >= distinct:
            cur.fail("a code beyond the dictionary")                                  # K2
        values = [table[code] for code in codes]
    elif packing == 5:
        default = cur.svarint()
        others = counted(cur, n)
        bits = unpack(cur, n, 1)
        if sum(bits) != others:
            cur.fail("the bitmap has another number of bits set")
        rest = iter(integers(cur, others, True)[0])
        values = [next(rest) if bit else default for bit in bits]
    elif packing == 6:
        values = list(struct.unpack(f"<{n}q", cur.take(8 * n)))
    else:
        base = cur.svarint()
        widths = [width_of(cur, 64) for _ in range(4)]
        selectors = unpack(cur, n, 2)
        classes = [iter(unpack(cur, selectors.count(k), widths[k])) for k in range(4)]
        values = place([next(classes[k]) for k in selectors], base, multiplier, zigzag)
    if transform == DELTA:
        values = summed(first, values)
    elif transform == ALTERNATE:
        values[0::2], values[1::2] = summed(first, values[0::2]), summed(second, values[1::2])
    return values, transform


def plain(cur, n, model=None):
    """An integer block where *group* has no meaning."""
    values, transform = integers(cur, n, model=model)
    if transform == GROUP:
        cur.fail("transform group outside of a group")
    return values


def nulls(cur, n):
    """0, 1 and a bitmap, or 2: a list of 0 and 1, or None if there are none."""
    mark = cur.u8()
    if mark == 0:
        return None
    if mark == 1:
        return unpack(cur, n, 1)
    if mark == 2:
        return [1] * n
    cur.fail(f"nulls {mark}")


def scale(cur):
    """K10."""
    exponent, divisor = cur.u8(), cur.varint()
    if exponent > 22 or not 1 <= divisor < 1 << 63:
        cur.fail(f"scale {exponent}, {divisor}", "K10")
    return exponent, divisor


def decimals(mantissas, scale, kind):
    """value(m): the product wraps; one conversion, one division; then the bits."""
    exponent, divisor = scale
    power = float(10**exponent)
    if divisor == 1:
        values = [float(m) / power for m in mantissas]
    else:
        values = [float(product) / power for product in wrap_all([m * divisor for m in mantissas])]
    return to_bits(values, kind)


def to_bits(values, kind):
    if kind == 3:
        return list(struct.unpack(f"<{len(values)}I", struct.pack(f"<{len(values)}f", *values)))
    return list(struct.unpack(f"<{len(values)}q", struct.pack(f"<{len(values)}d", *values)))


def to_floats(bits, kind):
    if kind == 3:
        return struct.unpack(f"<{len(bits)}f", struct.pack(f"<{len(bits)}I", *bits))
    return struct.unpack(f"<{len(bits)}d", struct.pack(f"<{len(bits)}q", *bits))


def factors(cur, n, bits):
    """K17: products of decimals and factors, given by their bits, and residues that are added to the bits."""
    cur.rule = "K17"
    runs = cur.varint()
    if runs > n:
        cur.fail(f"{runs} factors in {n} rows")
    if not runs:
        return bits
    starts = [0, *unpack(cur, runs - 1, (n - 1).bit_length()), n]
    if any(start >= end for start, end in zip(starts, starts[1:])):
        cur.fail("runs of factors do not ascend")
    values, products = to_floats(bits, 2), []
    for start, end in zip(starts, starts[1:]):
        factor = struct.unpack("<d", cur.take(8))[0]
        if not 0 < factor < float("inf"):
            cur.fail(f"a factor of {factor}")
        products += [value * factor for value in values[start:end]]
    residues = plain(cur, n)
    return wrap_all([product + residue for product, residue in zip(to_bits(products, 2), residues)])


def exceptions(cur, n, bits, kind):
    """K11: corrections that are added to the bits. What is left over behind them is named K11 as well."""
    cur.rule = "K11"
    count = cur.varint()
    if count > n:
        cur.fail(f"{count} exceptions in {n} rows")
    last = -1
    for position in unpack(cur, count, (n - 1).bit_length()):
        if not last < position < n:
            cur.fail(f"exception at {position} behind {last} of {n}")
        last = position
        total = bits[position] + cur.svarint()
        bits[position] = total & 0xFFFFFFFF if kind == 3 else wrap(total)


def split(cur, n, cut, kind, model=None):
    """K12: high << cut | low."""
    high = plain(cur, n, model)
    cur.rule = "K12"
    low = unpack(cur, n, cut)
    if kind == 3:
        limit = 1 << (32 - cut)
        if any(not 0 <= h < limit for h in high):
            cur.fail("high bits do not fit f32")
        return [h << cut | l for h, l in zip(high, low)]
    return [wrap(((h << cut) & MASK) | l) for h, l in zip(high, low)]


def texts(cur, n, empty):
    """K12: lengths, then the strings."""
    lengths = plain(cur, n)
    cur.rule = "K12"
    out = []
    for row, length in enumerate(lengths):
        if not 0 <= length <= STRING_BYTES or (length and empty and empty[row]):
            cur.fail(f"a string of {length} bytes")
        string = bytes(cur.take(length))
        cur.text(string)
        out.append(string)
    return out


def group(role, residuals, close, open):
    """The prediction of open, high and low from mantissas as decoded."""
    if role == 1:
        before = [close[0]] + close[:-1]
        return wrap_all([b + r for b, r in zip(before, residuals)])
    if role == 2:
        return wrap_all([max(o, c) + r for o, c, r in zip(open, close, residuals)])
    return wrap_all([min(o, c) - r for o, c, r in zip(open, close, residuals)])
