"""Vectors of further digits (codecs.md): columns of the group whose prices have more decimal places than its scale."""

import struct

from encode import *  # noqa: F403
from groups import CLOSE, HIGH, LEAST, LOW, MOST, NAMES, OPEN, ORDER, Group, elsewhere, floats, invalid, predicted, stated, valid, zones
from lanes import simple
from segments import F32, F64, I64, bits_of, decimal_bits, one_column

FLAG, BIT, ALL = 128, 32, 59


def value(mantissa, digits, exponent=2, divisor=1, places=6):
    """The bits of a decimal with further digits."""
    return bits_of(float(wrap(mantissa * divisor * 10**places + digits)) / float(f"1e{exponent + places}"))


def told(of_rows, rows=None, digits=None, count=None):
    """The fields behind the mantissas: the digits of rows."""
    out = varint(len(of_rows) if count is None else count)
    if of_rows or rows is not None:
        out += raw(sorted(of_rows)) if rows is None else rows
        out += raw([of_rows[row] for row in sorted(of_rows)]) if digits is None else digits
    return out


def carried(role, row, m, d):
    """The digits of a row that is not told, from mantissas and digits by role."""
    if role == CLOSE:
        return 0
    if role == OPEN:
        if row > 0 and m[OPEN][row] == m[CLOSE][row - 1]:
            return d[CLOSE][row - 1]
        return d[CLOSE][row] if m[OPEN][row] == m[CLOSE][row] else 0
    of_open, of_close = (m[OPEN][row], d[OPEN][row]), (m[CLOSE][row], d[CLOSE][row])
    pair = max(of_open, of_close) if role == HIGH else min(of_open, of_close)
    return pair[1] if pair[0] == m[role][row] else 0


class Bars(Group):
    """Bars with digits `d` of all rows; `rows` are told, those that have to be if they are not given."""

    flags, required = FLAG, BIT

    def __init__(self, m, d, rows=None, exponent=2, divisor=1, places=6):
        self.d, self.places, self.further = d, places, u8(places)
        every_block = []                            # by role the digits of rows
        for at in range(0, len(m[CLOSE]), 1024):
            of_m, of_d = ({role: some[at:at + 1024] for role, some in all_of.items()} for all_of in (m, d))
            n = len(of_m[CLOSE])
            block = {role: {row: of_d[role][row] for row in range(n) if carried(role, row, of_m, of_d) != of_d[role][row]} for role in ORDER}
            if rows is not None:
                for role in ORDER:
                    given = rows.get(role, ())
                    assert set(block[role]) <= set(given), (NAMES[role], block[role], given)
                    block[role] = {row: of_d[role][row] for row in given}
            every_block.append(block)
        super().__init__(m, every_block, exponent, divisor)

    def values(self, role):
        return [value(m, d, self.exponent, self.divisor, self.places) for m, d in zip(self.m[role], self.d[role])]

    def behind(self, role, block=0):
        return told(self.told[block][role])


def bars(opens, highs, lows, closes, rows=None, **other):
    """A group from (mantissa, digits) of each row."""
    m, d = ({role: [pair[at] for pair in some] for role, some in zip(ORDER, (opens, highs, lows, closes))} for at in (0, 1))
    return Bars(m, d, rows, **other)


def some_bars():
    """Five bars in which open, high and low have the digits of what they equal, but for three rows."""
    return bars([(1000, 0), (1005, 123456), (1008, 0), (993, 0), (1003, 7)], [(1007, 0), (1008, 0), (1009, 0), (1000, 5), (1003, 9)],
                [(998, 0), (1004, 4), (990, -250000), (992, 0), (1003, 7)], [(1005, 123456), (1008, 0), (990, -250000), (1000, 5), (1003, 9)],
                {CLOSE: [0, 2, 3, 4], OPEN: [4], LOW: [1]})


def segments(good, bad, Noise):
    fine, fine_bars = valid(good, "segment-digits", "K20")
    carry(fine_bars)
    arithmetic(fine_bars)
    narrow(fine_bars)
    forms(fine_bars, Noise)
    together(fine, fine_bars)
    broken(bad)


def carry(fine_bars):
    """Which digits a row has that is not told."""
    fine_bars("bars", "bars with digits of all kinds", some_bars())
    apart = [(10, 0), (20, 0), (30, 0)]
    fine_bars("close", "digits of the close, which nothing equals", bars(apart, apart, apart, [(11, 5), (21, 0), (31, -7)], {CLOSE: [0, 2]}))
    fine_bars("open-before", "opens with the digits of the close before", bars(
        [(1, 0), (11, 5), (21, 6), (31, -7)], [(99, 0)] * 4, [(0, 0)] * 4, [(11, 5), (21, 6), (31, -7), (41, 8)], {CLOSE: range(4)}))
    fine_bars("open-own", "opens with the digits of the close of their row", bars(
        [(11, 5), (22, 6), (33, 0), (44, 8)], [(99, 0)] * 4, [(0, 0)] * 4, [(11, 5), (22, 6), (33, 0), (44, 8)], {CLOSE: [0, 1, 3]}))
    fine_bars("open-both", "opens that equal both closes have the digits of the one before", bars(
        [(11, 5), (11, 5), (11, 6), (11, 0), (11, 0)], [(99, 0)] * 5, [(0, 0)] * 5, [(11, 5), (11, 6), (11, 0), (11, 0), (11, 9)], {CLOSE: [0, 1, 4]}))
    fine_bars("open-neither", "opens that equal neither close have none", bars(
        [(12, 0), (10, 0), (13, 0)], [(99, 0)] * 3, [(0, 0)] * 3, [(11, 5), (12, 6), (10, 7)], {CLOSE: range(3)}))
    fine_bars("open-after", "an open that equals the close of the row behind it", bars([(12, 0), (9, 0)], [(99, 0)] * 2, [(0, 0)] * 2, [(11, 5), (12, 6)], {CLOSE: range(2)}))
    for role, name, beyond in ((HIGH, "high", 99), (LOW, "low", 0)):
        sign = 1 if role == HIGH else -1
        opens = [(11, 1), (9, 2), (10, 5 * sign), (10, 4 * sign), (10, -1), (11 * sign, 3), (7, 3), (10, MOST), (10, 0)]
        closes = [(9, 3), (11, 4), (10, 4 * sign), (10, 5 * sign), (10, -1), (9 * sign, 8), (8, 6), (10, LEAST), (10, 7 * -sign)]
        pairs = [(max if role == HIGH else min)(pair) for pair in zip(opens, closes)]
        pairs[6] = ((7 if role == HIGH else 8), 0)             # the mantissa of the other one
        other = [(beyond ^ 99, 0)] * 9
        highs, lows = (pairs, other) if role == HIGH else (other, pairs)
        opens_told = {CLOSE: range(9), OPEN: range(9)}
        fine_bars(name, f"{name}s with the digits of the {'greater' if role == HIGH else 'lesser'} of open and close", bars(opens, highs, lows, closes, opens_told))
        far = [(mantissa + 3 * sign, 0) for mantissa, _ in pairs]
        highs, lows = (far, other) if role == HIGH else (other, far)
        fine_bars(f"{name}-beyond", f"{name}s beyond open and close have none", bars(opens, highs, lows, closes, opens_told))
    fine_bars("compare", "mantissas are compared with their signs", bars(
        [(MOST, 1), (LEAST, 2), (-1, 3)], [(MOST, 1), (MOST, 4), (0, 6)], [(LEAST, 5), (LEAST, 2), (-1, 3)], [(LEAST, 5), (MOST, 4), (0, 6)],
        {CLOSE: range(3), OPEN: range(3)}))
    fine_bars("compare-digits", "digits are compared with their signs, and only if mantissas are equal", bars(
        [(5, MOST), (5, LEAST), (6, LEAST), (-1, 1)], [(5, MOST), (5, MOST), (6, LEAST), (-1, 1)], [(5, LEAST), (5, LEAST), (5, MOST), (-1, -1)],
        [(5, LEAST), (5, MOST), (5, MOST), (-1, -1)], {CLOSE: range(4), OPEN: range(4)}))
    fine_bars("chain", "digits that are carried from a close to the next open, and from there to high and low", bars(
        [(1, 0), (50, 9), (60, -4), (70, 2)], [(50, 9), (60, -4), (70, 2), (70, 2)], [(1, 0), (40, 0), (60, -4), (70, 2)], [(50, 9), (60, -4), (70, 2), (70, 2)],
        {CLOSE: range(4)}))
    fine_bars("told-zero", "rows that are told to have none, though what they equal has some", bars(
        [(11, 0), (11, 0), (22, 0)], [(11, 0), (21, 0), (22, 0)], [(11, 0), (11, 0), (21, 0)], [(11, 5), (21, 6), (21, 7)],
        {CLOSE: range(3), OPEN: [0, 1], HIGH: [0, 1], LOW: [2]}))
    fine_bars("told-same", "rows that are told what they would have carried, zeros included", bars(
        [(11, 5), (11, 5), (22, 0)], [(11, 5), (99, 0), (22, 0)], [(11, 5), (0, 0), (21, 7)], [(11, 5), (21, 0), (21, 7)], {role: range(3) for role in ORDER}))
    fine_bars("told-other", "rows that are told other digits, which are carried on", bars(
        [(11, 4), (11, 3)], [(11, 5), (11, 3)], [(11, 4), (10, 6)], [(11, 5), (10, 6)], {CLOSE: [0, 1], OPEN: [0, 1]}))
    fine_bars("none", "no row is told: all have none", bars([(1, 0), (1, 0)], [(2, 0)] * 2, [(0, 0)] * 2, [(1, 0), (2, 0)], {}))
    fine_bars("none-close", "no close is told, but opens are", bars([(1, 5), (1, 0), (1, 6)], [(1, 5), (1, 0), (2, 0)], [(1, 0), (0, 0), (1, 6)], [(1, 0), (1, 0), (2, 0)],
                                                                  {OPEN: [0, 2]}))
    fine_bars("one-row", "a block of one row", bars([(1, 5)], [(1, 5)], [(1, 5)], [(1, 5)], {CLOSE: [0]}))
    fine_bars("one-row-told", "a block of one row, all of it told", bars([(1, 5)], [(1, 6)], [(1, 7)], [(1, 8)], {role: [0] for role in ORDER}))
    # Blocks do not depend on one another
    count = 1030
    closes = [(100 + row % 5, (row + 1) % 3 * 11) for row in range(count)]
    opens = [(100, 0), *closes[:-1]]
    opens[1024] = (closes[1023][0], 0)
    assert closes[1023][1] and closes[1023][0] != closes[1024][0]
    opens[0] = (closes[0][0] + 1, 0)
    highs, lows = ([picked(pair) for pair in zip(opens, closes)] for picked in (max, min))
    some = bars(opens, highs, lows, closes)
    assert 0 not in some.told[1][OPEN] and not some.told[0][OPEN]
    fine_bars("blocks", "the first open of a block has nothing of the block before", some)
    # The same prices in both blocks, of which the second tells only the close
    both = some_bars()
    m, d = ({role: (values[role][:5] * 205)[:1024] + values[role][:5] for role in ORDER} for values in (both.m, both.d))
    fine_bars("blocks-same", "a block of many bars, and one of five", Bars(m, d))
    quiet = [(7, 0)] * 1024
    loud = [(7, 1), (8, 2)]
    fine_bars("blocks-quiet", "a block in which no row is told, and one in which some are", bars(quiet + loud, quiet + loud, quiet + loud, quiet + loud))
    fine_bars("blocks-loud", "a block in which rows are told, and one in which none is", bars(
        [(7, 3)] * 1024 + [(7, 0)] * 2, [(7, 3)] * 1024 + [(9, 0)] * 2, [(7, 3)] * 1024 + [(5, 0)] * 2, [(7, 3)] * 1024 + [(7, 0)] * 2))


def arithmetic(fine_bars):
    """What values become of mantissas and digits."""
    def of(pairs, **other):
        """The same prices four times."""
        return bars(pairs, pairs, pairs, pairs, **other)

    five = [(93, 4), (-93, -4), (0, 1), (0, -1), (1 << 20, 0)]
    for exponent, places in ((0, 1), (2, 1), (21, 1), (0, 18), (2, 18), (4, 18), (11, 11), (2, 6)):
        fine_bars(f"places-{exponent}-{places}", f"exponent {exponent}, {places} places", of(five, exponent=exponent, places=places))
    fine_bars("negative", "negative digits, and digits of negative mantissas", of([(100, -1), (-100, 1), (-100, -1), (-1, 999999), (0, -1000000)]))
    fine_bars("far", "digits of more than the places", of([(1, 1000000), (1, 123456789012), (1, -5000001), (0, MOST), (0, LEAST)]))
    fine_bars("divisor", "a divisor, which does not multiply the digits", of([(4, 1), (4, 25), (-4, -1), (5, 0)], divisor=25, exponent=3, places=2))
    fine_bars("divisor-most", "the greatest divisor: products that wrap", of([(1, 0), (2, 3), (-7, 5), (1 << 62, 1)], divisor=MOST))
    fine_bars("wraps", "products that wrap", of([(1 << 50, 3), (1 << 60, -3), (-1 << 62, 9), (LEAST, 1), (MOST, 0)], places=9))
    fine_bars("wraps-away", "products that wrap to 0, and to the least number", of([(1 << 46, 12), (3 << 45, 0), (1 << 45, 5)], places=18, exponent=0))
    edge = MOST // 10**6
    fine_bars("sum-wraps", "sums of product and digits that wrap", of([(edge, 775808 - 1), (edge, 775808), (edge, MOST), (-edge, LEAST), (-edge, -775809)]))
    # One conversion of the whole number, also without digits: that of a mantissa alone would give another value
    differing = [m for m in range(9123456789012, 9123456789100) if value(m, 0, 4, 1, 6) != decimal_bits(m, 4, 1, F64)][:5]
    assert len(differing) == 5
    fine_bars("beyond", "units beyond 2^53: values without digits are not those of their mantissas", of([(m, 0) for m in differing], exponent=4, places=6))
    fine_bars("beyond-told", "units beyond 2^53, with digits that do not matter to the float, and that do",
              of([(m, digits) for m, digits in zip(differing, (1, -1, 700, 512, 10**6))], exponent=4, places=6))
    odd = [m for m in range(1234567890123, 1234567890199) if value(m, 0, 2, 7, 6) != decimal_bits(m, 2, 7, F64)][:4]
    assert len(odd) == 4
    fine_bars("beyond-divisor", "units beyond 2^53 with a divisor", of([(m, row % 2) for row, m in enumerate(odd)], divisor=7))
    halves = [((1 << 53) // 10, 3), ((1 << 53) // 10, 5), ((1 << 53) // 10 + 1, 1), (-((1 << 53) // 10), -5)]
    fine_bars("ties", "numbers between two floats: to the even one", of(halves, exponent=0, places=1))


    # Mantissas whose parameters tell that they are small, with a unit that is not what it seems
    for divisor, places, unit in ((1 << 46, 18, 0), ((1 << 64) // 10 + 1, 1, 4), (1 << 45, 18, LEAST), ((1 << 64) // 100 + 1, 2, 84)):
        some = of([(1, 0), (2, 0), (3, 0)], divisor=divisor, places=places)
        assert wrap(divisor * 10**places) == unit
        columns = {role: some.column(role, [some.data(role, packed([0, 1, 2], 2, 1))]) for role in ORDER}
        fine_bars(f"unit-{unit & MASK:x}", f"small mantissas without digits, with a divisor and places whose product wraps to {unit}", some, columns=columns)


def narrow(fine_bars):
    """Small mantissas of some columns, whose digits are those of larger ones, or of ones that are stored otherwise."""
    far = 1 << 32
    opens, closes = [(5, 0), (5, 7), (6, 0), (5, 8)], [(5, 7), (far + 6, 8), (5, 8), (far + 7, 9)]
    highs, lows = [(5, 7), (6, 0), (6, 0), (7, 0)], [(5, 0), (5, 7), (5, 8), (5, 8)]
    some = bars(opens, highs, lows, closes, {CLOSE: range(4), OPEN: [0], LOW: []})
    columns = {role: some.column(role, [some.data(role, packed([m - 5 for m in some.m[role]], 2, 5))]) for role in (OPEN, HIGH, LOW)}
    fine_bars("narrow", "mantissas within 32 bits, but for those of the close", some, columns=columns)
    opens, closes = [(5, 4), (far + 5, 7), (far + 6, 3)], [(6, 1), (5, 7), (6, -2)]
    some = bars(opens, [(6, 1), (5, 0), (6, 0)], [(5, 4), (5, 7), (6, -2)], closes, {CLOSE: range(3), OPEN: range(3), LOW: []})
    columns = {role: some.column(role, [some.data(role, packed([m - 5 for m in some.m[role]], 2, 5))]) for role in (HIGH, LOW, CLOSE)}
    fine_bars("narrow-open", "mantissas within 32 bits, but for those of the open", some, columns=columns)
    pairs = [(1000, 5), (1001, 6), (1002, -7)]
    some = bars(pairs, pairs, pairs, pairs)
    columns = {role: some.column(role, [some.data(role, packed([0, 1, 2], 2, 1000))]) for role in (OPEN, HIGH, LOW)}
    fine_bars("narrow-raw", "mantissas of few bits, but for those of the close, which are raw", some, columns=columns)
    ones = [(0, 4, 1000, 32)]
    heap = model(5, ones)
    columns[CLOSE] = some.modelled(CLOSE, some.data(CLOSE, coded(5, ones, [(0, 0), (0, 1), (0, 2)])), heap)
    fine_bars("narrow-coded", "mantissas of few bits, but for those of the close, which are coded", some, columns=columns, required=BIT | 1)


def forms(fine_bars, Noise):
    """The blocks of rows and digits in every packing and transform."""
    closes = [(500 + row % 7, 100 + row // 3) for row in range(12)]
    for name, title, rows, digits in [
        ("packed", "rows and digits packed", packed(range(12), 4), packed([row // 3 for row in range(12)], 2, 100)),
        ("delta", "rows and digits as differences", constant(1, transform=1, first=-1), packed([row % 3 == 0 for row in range(12)], 1, transform=1, first=99)),
        ("alternate", "rows and digits as differences from two before", constant(2, transform=3, first=-2, second=-1),
         packed([row >= 2 and closes[row][1] - closes[row - 2][1] for row in range(12)], 1, transform=3, first=100, second=100)),
        ("patched", "rows and digits patched", patched(range(12), 2, 2), patched([row // 3 for row in range(12)], 1, 1, 100)),
        ("classes", "rows and digits in classes", classes(range(12), [2, 4, 0, 64], [row > 3 for row in range(12)]), classes([row // 3 for row in range(12)], [0, 1, 2, 0], [2] * 12, 100)),
        ("runs", "rows as sums of runs, digits in runs", runs(raw([0, 1]), raw([0, 10]), 2, transform=1, first=0), runs(packed([0, 1, 2, 3], 2, 100), constant(2), 4)),
        ("dictionary", "rows and digits from dictionaries", dictionary(packed(range(12), 4), 12, range(12)),
         dictionary(packed([0, 1, 2, 3], 2, 100), 4, [row // 3 for row in range(12)])),
        ("sparse", "rows and digits that are sparse", sparse(1, constant(0), [row == 0 for row in range(12)], transform=1, first=0),
         sparse(100, packed([1] * 3 + [2] * 3 + [3] * 3, 2, 100), [row > 2 for row in range(12)])),
        ("zigzag", "rows and digits in zigzag, with a multiplier", packed([2 * row for row in range(12)], 5, zigzagged=True, multiplier=1),
         packed([2 * (row // 3) for row in range(12)], 3, 100, zigzagged=True)),
    ]:
        some = bars([(1, 0)] * 12, closes, [(0, 0)] * 12, closes, {CLOSE: range(12)})
        fine_bars(f"blocks-{name}", title, some, columns={CLOSE: some.column(CLOSE, [some.data(CLOSE, behind=told(some.told[0][CLOSE], rows, digits))])})
    noise = Noise(700)
    for count in (2, 3, 1024, 1100):
        m, d, close = {role: [] for role in ORDER}, {role: [] for role in ORDER}, (1000, 0)
        for _ in range(count):
            pairs = [(1000 + noise.below(4), noise.below(3) * noise.below(1000000)) for _ in range(2)]
            open = close if noise.below(4) else pairs[0]
            close = open if noise.below(3) == 0 else pairs[1]
            high, low = max(open, close), min(open, close)
            if noise.below(3) == 0:
                high = (high[0] + noise.below(2), noise.below(99) * noise.below(2))
            if noise.below(3) == 0:
                low = (low[0] - noise.below(2), noise.below(99) * noise.below(2))
            for role, (mantissa, digits) in zip(ORDER, (open, high, low, close)):
                m[role].append(mantissa)
                d[role].append(digits)
        some = Bars(m, d)
        if count > 1024:
            fine_bars(f"{count}", f"{count} bars", some)
            continue
        columns = {role: some.column(role, [some.data(role, predicted(role, m))]) for role in (OPEN, HIGH, LOW)}
        fine_bars(f"{count}", f"{count} bars, of which open, high and low are predicted", some, columns=columns)


def together(fine, fine_bars):
    """With exceptions, models, zone maps, factors of another column."""
    some = some_bars()
    wanted = {CLOSE: {0: 0x7FF8DEADBEEF0001, 4: value(1003, 10)}, OPEN: {1: 0x8000000000000000, 2: 1}, HIGH: {}, LOW: {3: bits_of(9.92) + 1}}
    columns, values = some.excepted(wanted)
    fine_bars("exceptions", "exceptions behind digits, of rows that have some and of others; what they give is not carried on", some, "K11", columns=columns, values=values)
    plain = {role: columns[role] for role in (HIGH, CLOSE)}
    fine_bars("exceptions-some", "exceptions of two columns", some, "K11", columns=plain, values={role: values[role] for role in plain})
    columns, values = some.excepted({CLOSE: dict(enumerate(range(5, 10)))})
    fine_bars("exceptions-all", "exceptions of all rows", some, "K11", columns=columns, values=values)
    none = bars([(1, 0)] * 2, [(2, 0)] * 2, [(0, 0)] * 2, [(1, 0), (2, 0)], {})
    columns, values = none.excepted({CLOSE: {1: value(2, 0) + 3}})
    fine_bars("exceptions-none-told", "exceptions behind digits that no row has", none, "K11", columns=columns, values=values)
    # Mantissas from models: of one lane, in lanes, and both in one chunk with columns without one
    ones = [(0, 4, 1000, 30), (1, 3, 95, 2)]
    chosen = [(0, 5), (0, 8), (1, 4), (0, 0), (0, 3)]
    assert binned(ones, chosen) == some.m[CLOSE]
    heap = model(5, ones)
    of_close = some.modelled(CLOSE, some.data(CLOSE, coded(5, ones, chosen)), heap)
    fine_bars("coded", "coded mantissas of the close with digits", some, "K16", columns={CLOSE: of_close}, required=BIT | 1)
    beyond = [(0, 8, -100, 31), (0, 0, 7, 1)]
    heap = model(5, beyond)
    residuals = {OPEN: [-5, 0, 0, 3, 3], HIGH: [2, 0, 1, 0, 0], LOW: [2, 1, 0, 1, 0]}
    coded_columns = {CLOSE: of_close}
    for role, numbers in residuals.items():
        data = coded(5, beyond, [(0, number + 100) for number in numbers], transform=2)
        coded_columns[role] = some.modelled(role, some.data(role, data), heap)
    fine_bars("coded-group", "coded mantissas that are predicted, with digits", some, "K16", columns=coded_columns, required=BIT | 1)
    lanes = Lanes(9, [(0, 4, 990), (0, 4, 1000)], [[200, 312]])
    picked = [(int(mantissa >= 1000), mantissa - (1000 if mantissa >= 1000 else 990)) for mantissa in some.m[CLOSE]]
    content = lanes.content()
    of_close = some.modelled(CLOSE, some.data(CLOSE, lanes.coded(picked)), content)
    fine_bars("lanes", "mantissas of the close in lanes, with digits", some, "K19", columns={CLOSE: of_close}, required=BIT | 17)
    narrow = Lanes(8, [(0, 8, -100)], [[256]])
    content = narrow.content()
    lane_columns = {CLOSE: of_close}
    for role, numbers in residuals.items():
        data = narrow.coded([(0, number + 100) for number in numbers], transform=2)
        lane_columns[role] = some.modelled(role, some.data(role, data), content)
    fine_bars("lanes-group", "mantissas in lanes that are predicted, with digits", some, "K19", columns=lane_columns, required=BIT | 17)
    fixes = [3, -4]
    data = some.data(CLOSE, lanes.coded(picked)) + exceptions(5, [0, 4], fixes)
    closes = some.values(CLOSE)
    closes[0], closes[4] = closes[0] + 3, closes[4] - 4
    everything = some.modelled(CLOSE, data, lanes.content(), 2, long=True)
    fine_bars("lanes-exceptions", "mantissas in lanes, digits and exceptions, in a file with all feature bits", some, "K11", columns={CLOSE: everything},
              values={CLOSE: closes}, required=ALL)
    zoned(fine_bars)
    # Other columns of the chunk
    adjusted = Column(12, F64, 4, scale(2, 1), [raw([5] * 5) + varint(1) + struct.pack("<d", 1.5) + constant(0)], 64)
    fine_bars("factors", "factors of a column beside the group", some, required=BIT | 8, more=[(adjusted, [bits_of(0.05 * 1.5)] * 5)])
    fine("bit-unused", "a file with the feature bit and no digits", *one_column(I64, [5, 6], 3, b"", [raw([5, 6])], required=BIT))
    fine("group-plain", "a group without digits in a file with the feature bit", *some.segment(
        {role: some.plain(role) for role in ORDER}, {role: some.decimals(role) for role in ORDER}))
    fine_bars("all-bits", "digits in a file with all feature bits", some, required=ALL)


def zoned(fine_bars):
    count = 130
    pairs = [(row - 3, row % 5) for row in range(count)]
    some = bars(pairs, pairs, pairs, pairs)
    columns = {role: some.column(role, zones=zones(some.values(role), -3, 126)) for role in ORDER}
    fine_bars("zones", "zone maps, whose bounds have no digits", some, "S25", columns=columns)
    pairs = [(row - 3, 10 * (row == 0) - 7 * (row == 129)) for row in range(count)]
    some = bars(pairs, pairs, pairs, pairs)
    columns = {role: some.column(role, zones=zones(some.values(role), -3, 126)) for role in ORDER}
    fine_bars("zones-exceptions", "zone maps, whose bounds are exceptions where the values have digits", some, "S25", columns=columns)
    # Bounds are decimals of the scale alone, also where values without digits are not
    first, last = [m for m in range(9123456789012, 9123456789100) if value(m, 0, 4, 1, 6) != decimal_bits(m, 4, 1, F64)][:2]
    pairs = [(first, 0), *[(first + 1, 0)] * 128, (last, 0)] if last > first + 1 else [(first, 0)] * 129 + [(last, 0)]
    some = bars(pairs, pairs, pairs, pairs, exponent=4, places=6)
    found = some.values(CLOSE)
    assert found[0] != decimal_bits(first, 4, 1, F64)
    columns = {role: some.column(role, zones=zones(some.values(role), first, last, 4)) for role in ORDER}
    fine_bars("zones-beyond", "zone maps of units beyond 2^53, whose bounds are exceptions", some, "S25", columns=columns)
    pairs = [(7, 3), *[(row, row) for row in range(1, count)]]
    some = bars(pairs, pairs, pairs, pairs)
    values = some.values(CLOSE)
    fix = wrap(0x7FF8000000000000 - values[0])
    values[0] = 0x7FF8000000000000
    high = max(m for m, _ in pairs)
    of_close = some.column(CLOSE, [some.data(CLOSE) + exceptions(count, [0], [fix])], 2 | 16, zones=zones(values, 1, high, nans=1))
    fine_bars("zones-nans", "zone maps and a NaN that is an exception of a row with digits", some, "S25", columns={CLOSE: of_close}, values={CLOSE: values})


def broken(bad):
    some = some_bars()
    wrong, behind, head = invalid(bad, "segment-digits", "K20", some)
    # Parameters and flags
    for exponent, places in ((2, 0), (2, 19), (2, 255), (5, 18), (22, 1), (22, 0), (18, 5), (4, 19)):
        of = bars([(1, 0)], [(1, 0)], [(1, 0)], [(1, 0)], exponent=exponent, places=places)
        head(f"places-{exponent}-{places}", f"{places} places of exponent {exponent}", of=of)
    of = bars([(1, 0)], [(1, 0)], [(1, 0)], [(1, 0)], exponent=23, places=1)
    head("exponent", "an exponent of 23", "K10", of=of)
    head("divisor", "a divisor of 0", "K10", of=bars([(1, 0)], [(1, 0)], [(1, 0)], [(1, 0)], divisor=0))
    head("no-bit", "digits in a file without a feature bit", "S20", required=0)
    head("no-bit-others", "digits in a file with all other feature bits", "S20", required=ALL & ~BIT)
    factors = varint(0)
    head("factors", "a column with digits and factors", "S20", required=ALL, columns={CLOSE: some.column(CLOSE, [some.data(CLOSE) + factors], 64)})
    head("factors-all", "a group with digits and factors", "S20", required=ALL, columns={role: some.column(role, [some.data(role) + factors], 64) for role in ORDER})
    elsewhere(bad, "segment-digits", "digits of", FLAG, ALL, [
        ("decimal", "decimals that are not of the group", F64, scale(2, 1) + u8(6), [constant(0) + varint(0)]),
        ("decimal-plain", "decimals that are not of the group, without places", F64, scale(2, 1), [constant(0)]),
        ("decimal-f32", "decimals of f32", F32, scale(2, 1) + u8(6), [constant(0) + varint(0)]),
    ])
    # The group
    for role in ORDER:
        wrong(f"without-{NAMES[role]}", f"a group in which {NAMES[role]} has no digits", "K13", columns={role: some.plain(role)})
        alone = {other: some.plain(other) for other in ORDER if other != role}
        wrong(f"only-{NAMES[role]}", f"a group in which {NAMES[role]} alone has digits", "K13", columns=alone)
        other_places = some.column(role, parameters=u8(role) + scale(2, 1) + u8(5))
        wrong(f"places-{NAMES[role]}", f"a group in which {NAMES[role]} has other places", "K13", columns={role: other_places})
    wrong("scale", "a group of two scales, exponents and places of which add up alike", "K13", columns={HIGH: some.column(HIGH, parameters=u8(HIGH) + scale(3, 1) + u8(5))})
    predicted_close = some.column(CLOSE, [some.data(CLOSE, raw(some.m[CLOSE], transform=2))])
    wrong("close-group", "a close with digits that is predicted", "K13", columns={CLOSE: predicted_close})
    # Counts and rows
    three = {0: 1, 2: 2, 4: 3}
    for role in ORDER:
        behind(f"count-{NAMES[role]}", f"more rows of {NAMES[role]} than there are", told({}, raw(range(6)), raw([1] * 6), 6), role)
        behind(f"equal-{NAMES[role]}", f"a row of {NAMES[role]} twice", told({}, raw([1, 3, 3]), raw([1, 2, 3]), 3), role)
    behind("count-huge", "a count that overflows", varint(MASK) + raw([0]) + raw([1]))
    behind("count-long", "a count of eleven bytes", b"\x80" * 10 + b"\0" + raw([0]) + raw([1]))
    for name, title, rows in [
        ("descending", "rows that descend", [2, 1]), ("descending-last", "a last row before the others", [1, 2, 3, 0]),
        ("negative", "a negative row", [-1, 2]), ("negative-one", "one row, and it is negative", [-1]), ("least", "the least number as a row", [LEAST]),
        ("row-n", "a row behind the last one", [1, 5]), ("row-n-one", "one row, and it is behind the last one", [5]), ("row-most", "the greatest number as a row", [0, MOST]),
        ("row-32", "a row beyond 32 bits", [1 << 32]), ("row-wraps", "rows whose differences wrap", [0, 4, 4 + (1 << 32)]), ("zero-twice", "row 0 twice", [0, 0]),
    ]:
        behind(name, title, told({}, raw(rows), raw([1] * len(rows)), len(rows)))
    behind("constant-rows", "rows that are all the same", told({}, constant(2), constant(7), 3))
    behind("delta-rows", "rows as differences of 0", told({}, constant(0, transform=1, first=1), constant(7), 3))
    # The blocks
    behind("rows-group", "rows that are predicted", told({}, constant(1, transform=2), constant(7), 1), OPEN)
    behind("digits-group", "digits that are predicted", told({}, constant(1), constant(7, transform=2), 1), OPEN)
    behind("close-digits-group", "digits of the close that are predicted", told({}, constant(1), constant(7, transform=2), 1))
    behind("rows-code", "rows with a code beyond their dictionary", told({}, dictionary(raw([0, 1, 2]), 3, [0, 1, 3]), constant(7), 3))
    behind("digits-code", "digits with a code beyond their dictionary", told(three, None, dictionary(raw([0, 1, 2]), 3, [0, 3, 2])))
    behind("rows-runs", "rows in runs that are too long", told({}, runs(raw([1]), raw([3]), 1), constant(7), 3))
    behind("rows-bits", "left-over bits of rows", told({}, packed([0, 1, 2], 2)[:-1] + b"\xff", constant(7), 3))
    behind("digits-bits", "left-over bits of digits", told(three, None, packed([0, 1, 2], 2)[:-1] + b"\xff"))
    behind("digits-width", "digits of 65 bits", told(three, None, u8(1) + svarint(0) + u8(65) + bytes(40)))
    ones = [(0, 4, 0, 32)]
    heap = model(5, ones)
    lanes = simple(NO_MEMORY)
    of_one, of_four = coded(5, ones, [(0, 1)]), lanes.coded([(0, 0)])
    for name, title, rows, digits in (("rows", "rows", of_one, constant(7)), ("digits", "digits", constant(1), of_one)):
        fields = told({}, rows, digits, 1)
        data = some.data(CLOSE, behind=fields)
        wrong(f"{name}-coded", f"{title} that are coded", columns={CLOSE: some.modelled(CLOSE, data, heap)}, required=BIT | 1)
        behind(f"{name}-coded-no-model", f"{title} that are coded, in a column without a model", fields)
    for name, title, rows, digits in (("rows", "rows", of_four, constant(7)), ("digits", "digits", constant(1), of_four)):
        data = some.data(CLOSE, behind=told({}, rows, digits, 1))
        wrong(f"{name}-lanes", f"{title} that are coded in lanes", columns={CLOSE: some.modelled(CLOSE, data, lanes.content())}, required=BIT | 17)
    # What is missing, or left over
    whole = told(three, packed([0, 1, 2], 2, multiplier=2), packed([0, 1, 2], 2, 1))
    rows_end = 1 + len(packed([0, 1, 2], 2, multiplier=2))
    for name, title, end in [("missing", "nothing behind the mantissas", 0), ("short-rows", "no rows", 1), ("short-in-rows", "rows cut short", rows_end - 1),
                             ("short-digits", "no digits", rows_end), ("short-in-digits", "digits cut short", len(whole) - 1)]:
        behind(name, title, whole[:end])
    behind("short-count", "a count cut short", b"\x80")
    behind("missing-high", "nothing behind the mantissas of the high", b"", HIGH)
    behind("left-over", "a byte behind the digits", whole + b"\0")
    behind("none-left-over", "a byte behind a block in which no row is told", varint(0) + b"\0")
    behind("none-blocks", "blocks behind a count of 0", varint(0) + raw([]) + raw([]))
    behind("low-left-over", "a byte behind the digits of the low", whole + b"\0", LOW)
    behind("exceptions", "no exceptions behind digits", whole, rule="K11", flags=2)
    behind("exceptions-left-over", "a byte behind exceptions that follow digits", whole + exceptions(5, [1], [3]) + b"\0", rule="K11", flags=2)
    behind("exceptions-far", "an exception behind the last row, after digits", whole + exceptions(5, [5], [3]), rule="K11", flags=2)
    wrong("mantissas", "mantissas cut short", "K1", ["K13"], columns={CLOSE: some.column(CLOSE, [raw(some.m[CLOSE])[:-1]])})
    two = bars([(7, 1)] * 1024 + [(7, 0)] * 3, [(7, 1)] * 1024 + [(9, 0)] * 3, [(7, 1)] * 1024 + [(5, 0)] * 3, [(7, 1)] * 1024 + [(7, 0)] * 3)
    for role in (CLOSE, LOW):
        data = [two.data(role), two.data(role, behind=told({}, raw([1, 3]), raw([1, 2]), 2), block=1)]
        wrong(f"second-block-{NAMES[role]}", f"a row of {NAMES[role]} behind the last one of the second block", of=two, columns={role: two.column(role, data)})
    # Zone maps
    count = 130
    pairs = [(row - 3, 1) for row in range(count)]
    of = bars(pairs, pairs, pairs, pairs)
    wrong("zones", "zone maps whose bounds are those of mantissas, while the values have digits", "S25", of=of,
          columns={CLOSE: of.column(CLOSE, zones=stated(-3, 126, floats(of.values(CLOSE))))})
    beyond = [m for m in range(9123456789012, 9123456789100) if value(m, 0, 4, 1, 6) != decimal_bits(m, 4, 1, F64)][0]
    of = bars([(beyond, 0)] * count, [(beyond, 0)] * count, [(beyond, 0)] * count, [(beyond, 0)] * count, exponent=4, places=6)
    wrong("zones-beyond", "zone maps whose bounds are taken as mantissas without digits, though beyond 2^53", "S25", of=of,
          columns={CLOSE: of.column(CLOSE, zones=stated(beyond, beyond, floats(of.values(CLOSE))))})
