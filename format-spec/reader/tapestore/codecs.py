"""What is inside blocks: codecs.md. Rules K1, K2, K10 to K12, K15 to K21.

A block gives a list of numbers: integers as they are, floats by their bits (f64 signed, f32 unsigned), or strings as bytes. `None` is null.
"""

import struct
from itertools import accumulate

from .basics import LANES, MASK, MODEL_BYTES, STRING_BYTES, wrap, wrap_all

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


def model(cur, features):
    """The model of a column with flag 32: in one lane, or in lanes, as its first byte says."""
    if cur.data[cur.pos] < 128:
        return Model(cur)
    cur.rule = "K18"
    if not features & LANES:
        cur.fail("a model in lanes, but not the feature bit for it")
    return Lanes(cur)


class Model:
    """K15: the bins of a model of one lane, and which of them each slot belongs to."""

    def __init__(self, cur):
        if cur.left() > MODEL_BYTES:
            cur.fail(f"a model of {cur.left()} bytes")
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
            self.bins.append((places, width, lower))
            self.slots += [(number, begin, frequency)] * frequency
            begin += frequency
        if begin != 1 << self.log:
            cur.fail("frequencies of a model do not add up")
        cur.done()

    def chosen(self, cur, n):
        """K16: the bin of each number of a coded block, and the offsets."""
        cur.rule = "K16"
        count = cur.varint()
        if count > n:
            cur.fail(f"{count} words for {n} numbers")
        state = cur.u32()
        words = iter(struct.unpack(f"<{count}H", cur.take(2 * count)))
        if state < 1 << 16:
            cur.fail(f"a stored state of {state}")
        mask, chosen = (1 << self.log) - 1, []
        for _ in range(n):
            slot = state & mask
            number, begin, frequency = self.slots[slot]
            chosen.append(self.bins[number])
            state = frequency * (state >> self.log) + slot - begin
            if state < 1 << 16:
                word = next(words, None)
                if word is None:
                    cur.fail("words are missing")
                state = state << 16 | word
        if state != 1 << 16 or next(words, None) is not None:
            cur.fail("the state does not end where it has to, or words are left")
        return chosen, Bits(cur)


class Lanes:
    """K18: the bins of a model in lanes, what a lane remembers, and a coder's table for each state of this memory."""

    def __init__(self, cur):
        self.log = cur.u8() - 128
        count = cur.varint()
        if not 8 <= self.log <= 12 or not 1 <= count <= 1024:
            cur.fail(f"a model of {count} bins, logarithm {self.log}")
        lower, self.bins = 0, []
        for number in range(count):
            places, width = cur.u8(), cur.u8()
            lower = wrap(lower + cur.svarint())
            if places > 18 or width > 64:
                cur.fail(f"bin {number} of a model")
            self.bins.append((places, width, lower))
        self.memory = cur.u8()
        if self.memory > 4:
            cur.fail(f"memory {self.memory}")
        classes, tables, self.classes, chosen = 1, 1, [0] * count, [0]
        if self.memory:
            classes, tables = cur.u8(), cur.u8()
            if not 2 <= classes <= 16 or not 1 <= tables or tables << self.log > 32768:
                cur.fail(f"{classes} classes and {tables} tables of a model")
            states = classes * classes if self.memory == 1 else classes << self.memory - 1
            self.classes = below(cur, count, classes)
            chosen = below(cur, states, tables)
        tables = [self.table(cur) for _ in range(tables)]
        self.tables = [tables[number] for number in chosen]
        self.follow = [[following(self.memory, classes, state, number) for number in range(classes)] for state in range(len(chosen))]
        cur.done()

    def table(self, cur):
        """For each state of a coder: the bin, how many bits are read, and what they are added to."""
        size = 1 << self.log
        frequencies = plain(cur, len(self.bins))
        if min(frequencies) < 0 or sum(frequencies) != size:
            cur.fail("frequencies of a model do not add up")
        spread, at = [0] * size, 0
        for number, frequency in enumerate(frequencies):
            for _ in range(frequency):
                spread[at] = number
                at = (at + size // 2 + size // 8 + 3) % size
        seen, out = list(frequencies), []
        for number in spread:
            share = seen[number]
            seen[number] += 1
            bits = self.log + 1 - share.bit_length()
            out.append((number, bits, (share << bits) - size))
        return out

    def chosen(self, cur, n):
        """K19: the bin of each number of a coded block in lanes, and the offsets, of which the last states tell the first bytes."""
        cur.rule = "K19"
        codes = Bits(cur)
        states = [codes.take(self.log) for _ in range(4)]
        memory, chosen, each = [0] * 4, [None] * n, (n + 3) // 4
        for j in range(each):
            for lane in range(4):
                row = lane * each + j
                if row < n:
                    number, bits, base = self.tables[memory[lane]][states[lane]]
                    chosen[row] = self.bins[number]
                    states[lane] = base + codes.take(bits)
                    memory[lane] = self.follow[memory[lane]][self.classes[number]]
        if max(states) > 255:
            cur.fail("a lane does not end where it has to")
        codes.done()
        return chosen, Bits(cur, bytes(states))


def below(cur, n, limit):
    """An integer block of numbers from 0 to below a limit."""
    values = plain(cur, n)
    if min(values) < 0 or max(values) >= limit:
        cur.fail(f"a number of a model that is not below {limit}")
    return values


def following(memory, classes, state, number):
    """The state of the memory after a number of this class."""
    if memory == 0:
        return 0
    if memory == 1:
        return state % classes * classes + number
    shift = memory - 1
    return state + number - (state + (1 << shift - 1) >> shift)


class Bits:
    """Numbers of differing widths end to end, lowest bits first; they end at the next whole byte, but not before those that are known."""

    def __init__(self, cur, known=b""):
        self.cur, self.at, self.known, self.end = cur, 0, len(known), 8 * (len(known) + cur.left())
        self.number = int.from_bytes(known + bytes(cur.data[cur.pos:cur.end]), "little")

    def take(self, width):
        if width > self.end - self.at:
            self.cur.fail(f"{width} bits wanted, {self.end - self.at} left")
        self.at += width
        return self.number >> self.at - width & (1 << width) - 1

    def done(self):
        if self.take(max(-self.at % 8, 8 * self.known - self.at)):
            self.cur.fail("left-over bits are not zero")
        self.cur.take(self.at // 8 - self.known)


def coded(cur, n, model):
    """K16, K19: the numbers of a coded block, before the transform."""
    chosen, offsets = model.chosen(cur, n)
    values = [wrap((lower + offsets.take(width)) * 10**places) for places, width, lower in chosen]
    offsets.done()
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
    if cur.left() and cur.data[cur.pos] >> 3 & 3 == GROUP:
        cur.fail("transform group outside of a group")
    return integers(cur, n, model=model)[0]


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


def told_digits(cur, n):
    """K20: the further digits of the rows that are told."""
    cur.rule = "K20"
    count = cur.varint()
    if count > n:
        cur.fail(f"{count} rows with further digits of {n}")
    if not count:
        return {}
    rows = plain(cur, count)
    if rows[0] < 0 or rows[-1] >= n or any(a >= b for a, b in zip(rows, rows[1:])):
        cur.fail("rows with further digits do not ascend, or are beyond the block")
    return dict(zip(rows, plain(cur, count)))


def carried_digits(role, told, mantissas, close, open):
    """The further digits of all rows: told, or those of what a row equals. `close` and `open` are mantissas and digits."""
    out = []
    for row, mantissa in enumerate(mantissas):
        digits = 0
        if row in told:
            digits = told[row]
        elif role == 1:
            if row and mantissa == close[0][row - 1]:
                digits = close[1][row - 1]
            elif mantissa == close[0][row]:
                digits = close[1][row]
        elif role:
            pairs = [(of[row], further[row]) for of, further in (open, close)]
            equal, further = max(pairs) if role == 2 else min(pairs)
            digits = further if mantissa == equal else 0
        out.append(digits)
    return out


def further_decimals(mantissas, digits, scale, places):
    """Decimals with further digits, by their bits: integers wrap; one conversion, one division."""
    exponent, divisor = scale
    power = float(10**(exponent + places))
    unit = divisor * 10**places
    return to_bits([float(number) / power for number in wrap_all([m * unit + d for m, d in zip(mantissas, digits)])], 2)


def to_bits(values, kind):
    if kind == 3:
        return list(struct.unpack(f"<{len(values)}I", struct.pack(f"<{len(values)}f", *values)))
    return list(struct.unpack(f"<{len(values)}q", struct.pack(f"<{len(values)}d", *values)))


def to_floats(bits, kind):
    if kind == 3:
        return struct.unpack(f"<{len(bits)}f", struct.pack(f"<{len(bits)}I", *bits))
    return struct.unpack(f"<{len(bits)}d", struct.pack(f"<{len(bits)}q", *bits))


def told_factors(cur, n, rule):
    """Runs, starts, factors and residues: a factor and a residue for each row, or None if there are no runs."""
    cur.rule = rule
    runs = cur.varint()
    if runs > n:
        cur.fail(f"{runs} factors in {n} rows")
    if not runs:
        return None
    starts = [0, *unpack(cur, runs - 1, (n - 1).bit_length()), n]
    if any(start >= end for start, end in zip(starts, starts[1:])):
        cur.fail("runs of factors do not ascend")
    of_rows = []
    for start, end in zip(starts, starts[1:]):
        factor = struct.unpack("<d", cur.take(8))[0]
        if not 0 < factor < float("inf"):
            cur.fail(f"a factor of {factor}")
        of_rows += [factor] * (end - start)
    return of_rows, plain(cur, n)


def factors(cur, n, bits):
    """K17: products of decimals and factors, given by their bits, and residues that are added to the bits."""
    told = told_factors(cur, n, "K17")
    if told is None:
        return bits
    products = to_bits([value * factor for value, factor in zip(to_floats(bits, 2), told[0])], 2)
    return wrap_all([product + residue for product, residue in zip(products, told[1])])


def single(value):
    """The bits of a float of 64 bits as one of 32, to nearest even; infinite if it is too large, where `struct` raises."""
    try:
        return struct.unpack("<I", struct.pack("<f", value))[0]
    except OverflowError:
        return 0x7F800000 if value > 0 else 0xFF800000


def paid(mantissas, scale):
    """The prices that were paid: decimals as floats of 32 bits."""
    return to_floats([single(value) for value in to_floats(decimals(mantissas, scale, 2), 2)], 3)


def adjusted_singles(cur, prices):
    """K21: adjusted closes of the prices that were paid, and what each is of its price."""
    told = told_factors(cur, len(prices), "K21")
    if told is None:
        return list(prices), [1.0] * len(prices)
    bits = [single(price * factor) + residue & 0xFFFFFFFF for price, factor, residue in zip(prices, *told)]
    closes = to_floats(bits, 3)
    for row, close in enumerate(closes):
        if not abs(close) < float("inf"):
            cur.fail(f"an adjusted close of {close} in row {row}")
    return closes, [close / price if price else 1.0 for close, price in zip(closes, prices)]


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
