"""Vectors of adjusted singles (codecs.md): columns of the group whose prices were kept as f32, and multiplied afterwards."""

import math
import struct
from fractions import Fraction

from encode import *  # noqa: F403
from factors import factor_of, factors
from groups import CLOSE, HIGH, LEAST, LOW, MOST, NAMES, OPEN, ORDER, Group, elsewhere, floats, invalid, predicted, stated, total, valid, zones
from lanes import simple
from segments import F32, F64, I64, T0, bits_of, blocks, chunk_of, decimal_bits, one_column, rows_of

FLAGS, BITS, ALL = 192, 72, 123
GREATEST = 1.7976931348623157e308
EDGE = (2 - 2.0**-24) * 2.0**127               # half a unit above the greatest f32: the least number that is rounded to infinity


def single(value):
    """The bits of the f32 that is nearest, the even one of two; infinite beyond the greatest."""
    sign = 0x80000000 if math.copysign(1.0, value) < 0 else 0
    if value == 0 or math.isinf(value):
        return sign | (0x7F800000 if value else 0)
    unit = max(math.frexp(abs(value))[1] - 24, -149)
    return sign | min((unit + 149 << 23) + round(Fraction(abs(value)) / Fraction(2)**unit), 0x7F800000)


def float_of(bits32):
    """A finite f32, by its bits, as f64."""
    exponent, fraction = bits32 >> 23 & 255, bits32 & 0x7FFFFF
    number = math.ldexp(fraction + (exponent > 0) * 0x800000, max(exponent, 1) - 150)
    return -number if bits32 >> 31 else number


def paid(mantissa, exponent=2, divisor=1):
    return float_of(single(float(wrap(mantissa * divisor)) / float(f"1e{exponent}")))


class Bars(Group):
    """Bars; for each block `told` are its runs as (first row, factor) and its residues, or None if it has no runs."""

    flags, required = FLAGS, BITS

    def __init__(self, m, told, exponent=2, divisor=1):
        super().__init__(m, told, exponent, divisor)

    def closes(self):
        """Adjusted closes and ratios of all rows."""
        out = []
        for block, some in zip(self.told, blocks(self.m[CLOSE])):
            for row, mantissa in enumerate(some):
                price = paid(mantissa, self.exponent, self.divisor)
                residue = (block[1] or [0] * len(some))[row] if block else 0
                bits32 = single(price * (factor_of(block[0], row) if block else 1.0)) + residue & 0xFFFFFFFF
                assert bits32 & 0x7F800000 != 0x7F800000, (row, mantissa, hex(bits32))
                adjusted = float_of(bits32)
                out.append((adjusted, adjusted / price if price else 1.0))
        return out

    def values(self, role):
        closes = self.closes()
        if role == CLOSE:
            return [bits_of(adjusted) for adjusted, _ in closes]
        return [bits_of(paid(m, self.exponent, self.divisor) * ratio) for m, (_, ratio) in zip(self.m[role], closes)]

    def behind(self, role, block=0):
        if role != CLOSE:
            return b""
        if self.told[block] is None:
            return varint(0)
        of_runs, residues = self.told[block]
        return factors(len(blocks(self.m[CLOSE])[block]), of_runs, residues and raw(residues))


OPENS, HIGHS, LOWS, CLOSES = [10190, 10205, 10177, 9988, 10003], [10231, 10240, 10177, 10010, 10055], [10155, 10177, 9954, 9961, 9987], [10205, 10178, 9977, 10001, 10055]
RUNS = [(0, 0.9731472), (2, 0.9812533), (3, 0.4906)]


def bars(*told, m=None, **other):
    """Five bars with factors; no more than are told."""
    m = m or dict(zip(ORDER, (OPENS, HIGHS, LOWS, CLOSES)))
    return Bars(m, [told[:2] if told else None], **other)


def of(mantissas, *told, **other):
    """The same mantissas four times."""
    return bars(*told, m=dict.fromkeys(ORDER, mantissas), **other)


def segments(good, bad, Noise):
    fine, fine_bars = valid(good, "segment-singles", "K21")
    told_ones(fine_bars)
    arithmetic(fine_bars)
    forms(fine_bars, Noise)
    together(fine, fine_bars)
    parts(fine)
    broken(bad)


def told_ones(fine_bars):
    """Runs and residues."""
    some = bars(RUNS[:1], None)
    # What is near to the arithmetic of the chapter is not the same
    closes, opens = some.closes(), some.values(OPEN)
    assert any(bits_of(paid(m) * RUNS[0][1]) != found for m, found in zip(OPENS, opens))
    assert any(bits_of(m / 100 * ratio) != found for m, (_, ratio), found in zip(OPENS, closes, opens))
    assert any(bits_of(paid(m) * adjusted / paid(c)) != found for m, c, (adjusted, _), found in zip(OPENS, CLOSES, closes, opens))
    assert any(bits_of(m / 100 * RUNS[0][1]) != bits_of(adjusted) for m, (adjusted, _) in zip(CLOSES, closes))
    fine_bars("bars", "bars with one factor", some)
    fine_bars("runs", "bars with three factors", bars(RUNS, None))
    fine_bars("each-row", "a factor for each row", bars([(row, 1 + row / 10) for row in range(5)], None))
    fine_bars("last-row", "a factor of the last row", bars([(0, 2.0), (4, 0.3)], None))
    none = bars()
    assert any(bits_of(m / 100) != found for m, found in zip(CLOSES, none.values(CLOSE)))
    fine_bars("none", "no factors: all prices are those that were paid, which are f32", none)
    fine_bars("one", "factor 1, which gives the same as none", bars([(0, 1.0)], None))
    assert bars([(0, 1.0)], None).values(HIGH) == none.values(HIGH)
    fine_bars("residues", "residues above and below zero", bars(RUNS, [1, -1, 0, -2, 3]))
    fine_bars("residues-one", "residues of factor 1", bars([(0, 1.0)], [1, -1, 0, 127, -128]))
    fine_bars("residues-far", "residues of which the low 32 bits count", bars(RUNS, [1 << 32, -1 << 32, (5 << 40) + 2, (-7 << 33) - 1, (1 << 62) - 3]))
    base = [single(paid(m) * RUNS[0][1]) for m in CLOSES]
    wanted = [0x3F800000, 0x80000000, 0, 1, 0xFF7FFFFF]
    fine_bars("residues-any", "residues that lead to 1, to both zeros, to the least f32 above zero, and to the least of all", bars(RUNS[:1], [w - b for w, b in zip(wanted, base)]))
    fine_bars("residues-signs", "residues that turn signs", bars(RUNS, [1 << 31, -1 << 31, (1 << 31) + 1, (-1 << 31) - 1, (3 << 31)]))
    fine_bars("residues-least", "the least and the greatest residue", bars(RUNS, [LEAST, LEAST | 1, (MOST ^ 0xFFFFFFFF), MOST - 5 ^ 0x80000000, -1]))
    for name, title, residues, block in [
        ("constant", "residues that are all the same", [-2] * 5, constant(-2)),
        ("packed", "residues that are packed", [-1, 0, 1, 0, -1], packed([0, 1, 2, 1, 0], 2, -1)),
        ("zigzag", "residues in zigzag, with a multiplier", [-3, 0, 3, 6, -6], packed([1, 0, 2, 4, 3], 3, zigzagged=True, multiplier=3)),
        ("delta", "residues as differences", [1, 2, 3, 4, 5], constant(1, transform=1)),
        ("alternate", "residues as differences from two before", [1, 0, 2, 0, 3], dictionary(raw([1, 0]), 2, [0, 1, 0, 1, 0], transform=3)),
        ("sparse", "few residues", [0, 0, -1, 0, 0], sparse(0, raw([-1]), [False, False, True, False, False])),
        ("patched", "residues that are patched", [0, 1, 1 << 20, 0, 1], patched([0, 1, 1 << 20, 0, 1], 1, 20)),
        ("classes", "residues in classes", [-1, 2, 0, 700, -1], classes([0, 3, 1, 701, 0], [2, 10, 0, 64], [0, 0, 0, 1, 2], -1)),
        ("runs", "residues in runs", [0, 0, 0, -1, -1], runs(raw([0, -1]), raw([2, 1]), 2)),
    ]:
        some = bars(RUNS, residues)
        data = some.data(CLOSE, behind=factors(5, RUNS, block))
        fine_bars(f"residues-{name}", title, some, columns={CLOSE: some.column(CLOSE, [data])})
    one_row = {role: [mantissas[0]] for role, mantissas in bars().m.items()}
    fine_bars("one-row", "a block of one row", bars(RUNS[:1], [-1], m=one_row))
    fine_bars("one-row-none", "a block of one row without a factor", bars(m=one_row))
    two_rows = {role: mantissas[:2] for role, mantissas in bars().m.items()}
    fine_bars("two-rows", "two rows, each with its factor", bars([(0, 0.5), (1, 0.75)], [0, 1], m=two_rows))


def arithmetic(fine_bars):
    """What prices become of mantissas and factors."""
    zero = dict(zip(ORDER, ([0, 5, -7, 0, 10190], [0, 900, 7, 0, 10231], [0, -3, -9, 0, 10155], [0, 0, 0, 0, 10205])))
    fine_bars("zero", "closes of 0: nothing is multiplied", bars(RUNS, None, m=zero))
    fine_bars("zero-residues", "closes of 0 that are adjusted to something by residues: nothing is multiplied all the same",
              bars(RUNS, [0x3F800000, 0x42C80000, 1, 0x80000000, 0], m=zero))
    fine_bars("zero-none", "closes of 0 and no factors", bars(m=zero))
    # Closes that are not 0, and adjusted to 0: all others are 0 as well, or below zero
    base = [single(paid(m) * 0.5) for m in CLOSES]
    signs = dict(zip(ORDER, (OPENS, [-m for m in HIGHS], [0, *LOWS[1:]], CLOSES)))
    fine_bars("to-zero", "closes adjusted to 0 and to -0 by residues", bars([(0, 0.5)], [-base[0], (1 << 31) - base[1], 0, -base[3], (1 << 31) - base[4]], m=signs))
    fine_bars("least-factor", "the least factor: all is 0, with the sign of the price", of([10205, -10178, 0, 1, -1], [(0, 5e-324)], None))
    fine_bars("small", "adjusted closes below the least normal f32", of([10205, -10178, 9977, 3, 1], [(0, 1e-43), (1, 7.77e-42), (2, 1.2e-38), (3, 4.7e-44), (4, 7.0e-44)], None))
    half = 2.0**-150                            # to even: 0; a little more gives the least f32
    fine_bars("small-ties", "products at half of the least f32, and at one and a half", of([100, 100, 100, 100, -100],
              [(0, half), (1, half * (1 + 2.0**-52)), (2, half * 3), (3, half * 5), (4, half * 3)], None))
    ties = [(0, 1 + 2.0**-24), (1, 1 + 3 * 2.0**-24), (2, 1 + 2.0**-24 + 2.0**-52), (3, 1 + 3 * 2.0**-24 - 2.0**-52), (4, 1 + 2.0**-24)]
    fine_bars("ties", "products between two f32: to the even one", of([100, 100, 100, 100, -300], ties, None))
    # Products are rounded to f64 first: here to a tie, which is then rounded to even
    twice = []
    for m in (10207, -10178, 9977, 10001, 7, 99999, 12345, 3):
        tie = Fraction(single(paid(m)) & 0x7FFFFF | 0x800000) + Fraction(1, 2)
        for _ in range(100):
            tie += 1
            factor = float(tie / Fraction(abs(paid(m))))
            exact = abs(Fraction(paid(m)) * Fraction(factor))
            if abs(Fraction(paid(m) * factor)) == tie and round(exact) != round(tie):
                twice.append((m, factor))
                break
    assert len(twice) > 4, "products that are rounded twice"
    fine_bars("rounded-twice", "products that f64 rounds to between two f32", of([m for m, _ in twice], [(row, factor) for row, (_, factor) in enumerate(twice)], None))
    # Prices likewise: large mantissas are rounded to f64, divided, rounded, and rounded to f32
    large = [1234567890123456789, (1 << 24) + 1, (1 << 24) + 3, -(1 << 25) - 2, MOST]
    fine_bars("large", "mantissas that f32 does not hold", of(large, RUNS, [0, 1, -1, 0, 0], exponent=0))
    fine_bars("large-none", "mantissas that f32 does not hold, without factors", of(large, exponent=0))
    fine_bars("least-mantissa", "the least mantissa", of([LEAST, MOST, LEAST + 1, 1, -1], RUNS, None))
    for exponent in (0, 1, 4, 22):
        fine_bars(f"exponent-{exponent}", f"exponent {exponent}", bars(RUNS, [0, 1, 0, -1, 0], exponent=exponent))
    fine_bars("negative", "prices below zero", of([-10205, 3, -1, 10178, -9977], RUNS, [0, 1, -1, 0, 2]))
    fine_bars("divisor", "a divisor", bars(RUNS, [0, 1, 0, -1, 0], exponent=3, divisor=25))
    fine_bars("divisor-most", "the greatest divisor: products that wrap", of([1, 2, -7, 1 << 62, 0], RUNS, None, divisor=MOST))
    fine_bars("divisor-zero", "products of mantissas and divisor that wrap to 0: nothing is multiplied", bars(
        RUNS, None, divisor=1 << 60, m=dict(zip(ORDER, ([1, 2, 16, 3, 4], [5, 6, 7, 8, 9], [-1, -16, 0, 2, 1], [16, 32, -16, 1 << 40, 3])))))
    # Near the greatest f32
    below = math.nextafter(EDGE, 0)
    assert single(below) == 0x7F7FFFFF and single(EDGE) == 0x7F800000
    fine_bars("greatest", "products that are rounded to the greatest f32", of([100, -100, 100], [(0, below), (1, below), (2, float_of(0x7F7FFFFF))], None))
    fine_bars("infinite-back", "products beyond all f32, and beyond all f64, from which residues lead back",
              of([100, -100, 10205, -10178, 1 << 62], [(0, EDGE), (1, EDGE), (2, 1e300), (3, GREATEST), (4, GREATEST)], [-1, -1, -0x800000, -5, -0x7F800000]))
    fine_bars("infinite-back-zero", "closes of 0 with the greatest factor", bars([(0, GREATEST)], [0, 0, 0, 0, -1], m={**zero, CLOSE: [0, 0, 0, 0, 10205]}))
    # All of these among one another, at every place of a block's body and tail
    closes = [10205, 0, -10178, 100, 16777217, 1, 100, -100, 102, 7, 0]
    of_rows = [(0.9731472, 1), (3.0, 0x42C80000), (0.5, -2), (1 + 2.0**-24, 0), (1.25, 0), (1e-43, 0), (EDGE, -1), (GREATEST, -0x7F800000), (half * 3, 0), (5e-324, 1 << 31), (2.0, 1 << 31)]
    m = {role: [wrap(closes[row % 11] * 3 - 500 + row * (role + 1)) for row in range(44)] for role in (OPEN, HIGH, LOW)}
    m[CLOSE] = [closes[row % 11] for row in range(44)]
    fine_bars("all-kinds", "44 bars of all kinds", bars([(row, of_rows[row % 11][0]) for row in range(44)], [of_rows[row % 11][1] for row in range(44)], m=m))
    turned = {role: [-mantissa for mantissa in mantissas] for role, mantissas in m.items()}
    fine_bars("all-kinds-turned", "44 bars of all kinds, with other signs",
              bars([(row, of_rows[row % 11][0]) for row in range(44)], [of_rows[row % 11][1] for row in range(44)], m=turned))
    fine_bars("open-large", "opens that f32 does not hold any more", bars([(0, EDGE / 110)], None, m={**bars().m, HIGH: [MOST] * 5, LOW: [LEAST] * 5}))


def forms(fine_bars, Noise):
    """Mantissas packed and predicted, and blocks of many bars."""
    some = bars(RUNS, [1, -1, 0, -2, 3])
    small = {role: packed([m - 9900 for m in some.m[role]], 9, 9900) for role in ORDER}
    fine_bars("packed", "mantissas that are packed", some, columns={role: some.column(role, [some.data(role, small[role])]) for role in ORDER})
    columns = {role: some.column(role, [some.data(role, predicted(role, some.m))]) for role in (OPEN, HIGH, LOW)}
    fine_bars("predicted", "mantissas that are predicted, whatever the factors", some, columns=columns)
    for role in (OPEN, HIGH, LOW):
        fine_bars(f"predicted-{NAMES[role]}", f"only the mantissas of the {NAMES[role]} are predicted", some, columns={role: columns[role]})
    fine_bars("entries", "the close comes first, the open last", some, columns=columns, entries=(CLOSE, LOW, HIGH, OPEN))
    # Mantissas within 32 bits beside others, and a unit that is not what it seems
    far = {**some.m, CLOSE: [m + (1 << 40) for m in CLOSES]}
    for name, title, group, wide in (("narrow", "mantissas within 32 bits, but for those of the close", bars(RUNS, [1, -1, 0, -2, 3], m=far), CLOSE),
                                     ("narrow-open", "mantissas within 32 bits, but for those of the open", bars(RUNS, [1, -1, 0, -2, 3], m={**some.m, OPEN: far[CLOSE]}), OPEN),
                                     ("narrow-unit", "small mantissas with a divisor whose products wrap", of([1, 2, 3, 4, 5], RUNS, None, divisor=(1 << 62) + 1), None)):
        columns = {role: group.column(role, [group.data(role, packed([m - min(group.m[role]) for m in group.m[role]], 9, min(group.m[role])))]) for role in ORDER if role != wide}
        fine_bars(name, title, group, columns=columns)
    noise = Noise(2100)
    for name, title, count, told_of, options in [
        ("1024", "1024 bars with runs of one row and of many", 1024, lambda block, n: ([(0, 0.97), (1, 0.98), (2, 0.99), (1000, 1.01), (1023, 3.0)], 3), {}),
        ("1025", "a block of one row behind a whole one", 1025, lambda block, n: ([(0, 0.91 + block / 100)], 2), {}),
        ("blocks", "two blocks and a short third, each with runs of its own", 2055,
         lambda block, n: ([(row, 0.9 + row / 5000 + block / 10) for row in (0, *([300, 777] if block < 2 else [2, 6]))], 3), {}),
        ("blocks-quiet", "three blocks, the second without factors", 2050, lambda block, n: ([(0, 0.97 - block / 50)], 2) if block != 1 else None, {"exponent": 3, "divisor": 25}),
        ("blocks-loud", "three blocks of which only the second has factors", 2050, lambda block, n: ([(0, 0.97), (512, 0.99)], 2) if block == 1 else None, {}),
        ("each-row-1024", "1024 bars, each with its factor", 1024, lambda block, n: ([(row, 0.5 + row / 1000) for row in range(n)], 3), {}),
    ]:
        m, close = {role: [] for role in ORDER}, 5000
        for _ in range(count):
            open = close + noise.below(5) - 2
            close = open + noise.below(41) - 20
            for role, mantissa in zip(ORDER, (open, max(open, close) + noise.below(9), min(open, close) - noise.below(9), close)):
                m[role].append(mantissa)
        of_blocks = []
        for block, found in enumerate(blocks(m[CLOSE])):
            of_runs = told_of(block, len(found))
            of_blocks.append(of_runs and (of_runs[0], [noise.below(of_runs[1]) - 1 for _ in found]))
        some = Bars(m, of_blocks, **options)
        columns = {}
        for role in ORDER:
            data = []
            for block in range(len(of_blocks)):
                of_block = {other: blocks(mantissas)[block] for other, mantissas in m.items()}
                if role in (HIGH, LOW) and block != 1:     # of the second block none is predicted
                    residuals = [h - max(pair) for h, *pair in zip(of_block[HIGH], of_block[OPEN], of_block[CLOSE])] if role == HIGH else [
                        min(pair) - low for low, *pair in zip(of_block[LOW], of_block[OPEN], of_block[CLOSE])]
                    mantissas = packed(residuals, 4, transform=2)
                else:
                    low = min(of_block[role])
                    mantissas = packed([found - low for found in of_block[role]], bits(max(of_block[role]) - low), low)
                behind = None
                if role == CLOSE and of_blocks[block]:
                    behind = factors(len(of_block[role]), of_blocks[block][0], packed([residue + 1 for residue in of_blocks[block][1]], 2, -1))
                data.append(some.data(role, mantissas, behind, block))
            columns[role] = some.column(role, data)
        fine_bars(name, title, some, columns=columns)


def together(fine, fine_bars):
    """With exceptions, models, zone maps, and other columns."""
    some = bars(RUNS, [1, -1, 0, -2, 3])
    wanted = {CLOSE: {0: 0x7FF8DEADBEEF0001, 2: 0xFFF0000000000000, 4: bits_of(49.33)}, OPEN: {1: 0x8000000000000000, 2: 1}, HIGH: {}, LOW: {3: bits_of(48.87)}}
    columns, values = some.excepted(wanted)
    fine_bars("exceptions", "exceptions of all columns; those of the close do not matter to the others", some, "K11", columns=columns, values=values)
    for role in ORDER:
        fine_bars(f"exceptions-{NAMES[role]}", f"exceptions of the {NAMES[role]} alone", some, "K11", columns={role: columns[role]}, values={role: values[role]})
    columns, values = some.excepted({CLOSE: dict(enumerate(range(5, 10)))})
    fine_bars("exceptions-all", "exceptions of all closes", some, "K11", columns=columns, values=values)
    none = bars()
    columns, values = none.excepted({CLOSE: {row: decimal_bits(CLOSES[row], 2, 1, F64) for row in (1, 2)}})
    fine_bars("exceptions-none", "exceptions behind a close without factors, of prices that f32 does not hold", none, "K11", columns=columns, values=values)
    many = Bars({role: mantissas * 205 + mantissas[:3] for role, mantissas in some.m.items()}, [([(0, 0.97), (600, 0.98)], None), ([(0, 1.5)], None)])
    values, columns = {role: many.values(role) for role in ORDER}, {}
    for role, rows in ((CLOSE, ([], [1, 3])), (OPEN, ([7, 1023], []))):
        fixes = [[0x7FF8000000000000 - values[role][1024 * block + row] for row in of_block] for block, of_block in enumerate(rows)]
        columns[role] = many.column(role, [many.data(role, block=block) + exceptions(1024 - 1020 * block, rows[block], fixes[block]) for block in (0, 1)], 2)
        for block in (0, 1):
            for row in rows[block]:
                values[role][1024 * block + row] = 0x7FF8000000000000
    assert many.count == 1028
    fine_bars("exceptions-blocks", "exceptions of the close in the second block, of the open in the first", many, "K11", columns=columns, values=values)
    # Mantissas from models: of one lane, and in lanes
    ones = [(0, 8, 9900, 20), (0, 8, 10100, 12)]
    chosen = [(int(m >= 10150), m - (10100 if m >= 10150 else 9900)) for m in CLOSES]
    assert binned(ones, chosen) == CLOSES
    heap = model(5, ones)
    of_close = some.modelled(CLOSE, some.data(CLOSE, coded(5, ones, chosen)), heap)
    fine_bars("coded", "coded mantissas of the close", some, "K16", columns={CLOSE: of_close}, required=BITS | 1)
    residuals = {OPEN: [o - b for o, b in zip(OPENS, [CLOSES[0], *CLOSES])], HIGH: [h - max(pair) for h, *pair in zip(HIGHS, OPENS, CLOSES)],
                 LOW: [min(pair) - low for low, *pair in zip(LOWS, OPENS, CLOSES)]}
    beyond = [(0, 8, -100, 31), (0, 0, 7, 1)]
    heap = model(5, beyond)
    group = {CLOSE: of_close}
    for role, numbers in residuals.items():
        group[role] = some.modelled(role, coded(5, beyond, [(0, number + 100) for number in numbers], transform=2), heap)
    fine_bars("coded-group", "coded mantissas that are predicted", some, "K16", columns=group, required=BITS | 1)
    lanes = Lanes(9, [(0, 8, 9900), (0, 8, 10100)], [[200, 312]])
    content = lanes.content()
    of_close = some.modelled(CLOSE, some.data(CLOSE, lanes.coded(chosen)), content)
    fine_bars("lanes", "mantissas of the close in lanes", some, "K19", columns={CLOSE: of_close}, required=BITS | 17)
    narrow = Lanes(8, [(0, 8, -100)], [[256]])
    of_narrow = narrow.content()
    group = {CLOSE: of_close}
    for role, numbers in residuals.items():
        group[role] = some.modelled(role, narrow.coded([(0, number + 100) for number in numbers], transform=2), of_narrow)
    fine_bars("lanes-group", "mantissas in lanes that are predicted", some, "K19", columns=group, required=BITS | 17)
    closes = some.values(CLOSE)
    closes[0], closes[4] = closes[0] + 3, closes[4] - 4
    everything = some.modelled(CLOSE, some.data(CLOSE, lanes.coded(chosen)) + exceptions(5, [0, 4], [3, -4]), content, 2, long=True)
    fine_bars("lanes-exceptions", "mantissas in lanes, factors and exceptions, in a file with all feature bits", some, "K11", columns={**group, CLOSE: everything},
              values={CLOSE: closes}, required=ALL)
    zoned(fine_bars)
    # Other columns of the chunk
    adjusted = Column(12, F64, 4, scale(2, 1), [raw([5] * 5) + varint(1) + struct.pack("<d", 1.5) + constant(0)], 64)
    fine_bars("factors", "factors of a column beside the group", some, more=[(adjusted, [bits_of(0.05 * 1.5)] * 5)])
    plain = Column(12, F64, 4, scale(2, 1), [raw(CLOSES)])
    fine_bars("paid", "a column with the prices that were paid beside the group", some, more=[(plain, [decimal_bits(m, 2, 1, F64) for m in CLOSES])])
    fine_bars("all-bits", "adjusted singles in a file with all feature bits", some, required=ALL)
    for required in (64, BITS):
        fine(f"bit-unused-{required}", f"a file with required features {required} and no adjusted singles", *one_column(I64, [5, 6], 3, b"", [raw([5, 6])], required=required))
    # The same flags alone mean what they meant
    plain = {role: some.plain(role) for role in ORDER}
    decimals = {role: some.decimals(role) for role in ORDER}
    fine_bars("flags-none", "a group with neither flag in a file with the feature bits", some, "K13", columns=plain, values=decimals)
    with_factors = {role: some.plain(role, 64, factors(5, RUNS)) for role in ORDER}
    fine_bars("flags-factors", "a group with factors in a file with the feature bits", some, "K17", columns=with_factors, values={
        role: [bits_of(m / 100 * factor_of(RUNS, row)) for row, m in enumerate(some.m[role])] for role in ORDER})
    with_digits = {role: some.plain(role, 128, varint(0), u8(6)) for role in ORDER}
    fine_bars("flags-digits", "a group with further digits in a file with the feature bits", some, "K20", columns=with_digits, values=decimals, required=ALL)


def zoned(fine_bars):
    count = 130
    some = of([row + 3 for row in range(count)], [(0, 0.97), (70, 0.98)], [row % 3 - 1 for row in range(count)])
    for name, title, shift in (("zones", "zone maps, whose bounds are decimals without factors, and exceptions of them", 0),
                               ("zones-other", "zone maps, whose bounds are exceptions of other decimals", 5)):
        columns = {}
        for role in ORDER:
            values = floats(some.values(role))
            columns[role] = some.column(role, zones=zones(some.values(role), round(min(values) * 100) + shift, round(max(values) * 100) - shift))
        fine_bars(name, title, some, "S25", columns=columns)
    none = of([row * 25 for row in range(count)])
    columns = {role: none.column(role, zones=zones(none.values(role), 0, 129 * 25)) for role in ORDER}
    fine_bars("zones-none", "zone maps of prices without factors, some of which are their decimals", none, "S25", columns=columns)


def parts(fine):
    """Several parts, chunks and streams: each block stands for itself."""
    some, other, none = bars(RUNS, [1, -1, 0, -2, 3]), bars([(0, 0.25), (4, 0.5)], None, exponent=3), bars()
    plain = [some.plain(role) for role in ORDER]
    decimals = [(F64, some.decimals(role)) for role in ORDER]
    numbers = [(number, F64) for number in range(4)]

    def columns(of_bars):
        return [of_bars.column(role) for role in ORDER]

    def values(of_bars):
        return [(F64, of_bars.values(role)) for role in ORDER]

    head, time = header(1, required=BITS), [T0 + row for row in range(5)]
    live, old = rows_of(time, values(some)), rows_of(time, values(other), until=9)
    part = Part(1, numbers, [chunk_of(columns(some), 5), chunk_of(columns(other), 5, stream=1)], versions=(1, 9), ohlc=(0, 1, 2, 3))
    fine("history", "live rows and history, each with factors of its own", segment([part], head=head),
         {"parts": [{"series": 1, "live": live, "history": old, "marks": []}]})
    two = [Part(series, numbers, [chunk_of(columns(of_bars), 5)], ohlc=(0, 1, 2, 3)) for series, of_bars in ((1, some), (2, none))]
    fine("parts", "two parts, the second without factors", segment(two, head=head), {"parts": [
        {"series": 1, "live": live, "history": [], "marks": []}, {"series": 2, "live": rows_of(time, values(none)), "history": [], "marks": []}]})
    later = [T0 + 5 + row for row in range(5)]
    part = Part(1, numbers, [chunk_of(columns(some), 5), chunk_of(plain, 5, number=1, first_row=5, time=later)], ohlc=(0, 1, 2, 3))
    fine("chunks", "a chunk of adjusted singles, and one whose group has no flags", segment([part], head=head),
         {"parts": [{"series": 1, "live": live + rows_of(later, decimals), "history": [], "marks": []}]}, "K13")


def broken(bad):
    some = bars(RUNS, [1, -1, 0, -2, 3])
    wrong, behind, head = invalid(bad, "segment-singles", "K21", some)
    # Flags and feature bits
    for required, title in ((0, "no feature bits"), (8, "the bit of factors alone"), (40, "the bits of factors and of further digits"), (ALL & ~64, "all feature bits but that of adjusted singles"),
                            (64, "the bit of adjusted singles alone"), (96, "the bits of adjusted singles and of further digits"), (ALL & ~8, "all feature bits but that of factors")):
        head(f"bits-{required}", f"adjusted singles in a file with {title}", "S20", required=required)
    head("bits-factors", "a group with factors alone in a file with the bit of adjusted singles alone", "S20", required=64, columns={
        role: some.plain(role, 64, factors(5, RUNS)) for role in ORDER})
    head("bits-digits", "a group with further digits alone in a file without their bit", "S20", columns={
        role: some.plain(role, 128, varint(0), u8(6)) for role in ORDER})
    head("nulls", "adjusted singles with nulls", "S20", columns={CLOSE: some.column(CLOSE, [b"\0" + some.data(CLOSE)], 1)})
    elsewhere(bad, "segment-singles", "the flags of adjusted singles with", FLAGS, ALL, [
        ("decimal", "decimals that are not of the group", F64, scale(2, 1), [constant(0) + varint(0)]),
        ("decimal-places", "decimals that are not of the group, with places", F64, scale(2, 1) + u8(6), [constant(0) + varint(0)]),
        ("decimal-f32", "decimals of f32", F32, scale(2, 1), [constant(0) + varint(0)]),
    ])
    # The group
    def other_flags(role, flags):
        return some.plain(role, flags, {0: b"", 64: factors(5, RUNS), 128: varint(0)}[flags], u8(6) if flags == 128 else b"")

    for role in ORDER:
        for flags, name, title in ((0, "neither flag", "plain"), (64, "factors alone", "factors"), (128, "further digits", "digits")):
            wrong(f"{title}-{NAMES[role]}", f"a group of adjusted singles in which {NAMES[role]} has {name}", "K13", columns={role: other_flags(role, flags)}, required=ALL)
            if flags != 64:
                others = {other: other_flags(other, flags) for other in ORDER if other != role}
                wrong(f"only-{NAMES[role]}-{title}", f"a group in which {NAMES[role]} alone is of adjusted singles; the others have {name}", "K13", columns=others, required=ALL)
    others = {other: other_flags(other, 64) for other in (OPEN, HIGH, LOW)}
    wrong("only-close-factors", "a close of adjusted singles, while the others have factors alone", "K13", columns=others)
    wrong("scale", "a group of two scales", "K13", columns={HIGH: some.column(HIGH, parameters=u8(HIGH) + scale(3, 1))})
    wrong("scale-divisor", "a group of two divisors", "K13", columns={CLOSE: some.column(CLOSE, parameters=u8(CLOSE) + scale(2, 5))})
    wrong("close-group", "a close that is predicted", "K13", columns={CLOSE: some.column(CLOSE, [some.data(CLOSE, raw(CLOSES, transform=2))])})
    head("exponent", "an exponent of 23", "K10", of=bars(RUNS, None, exponent=23))
    head("divisor", "a divisor of 0", "K10", of=bars(RUNS, None, divisor=0))
    # Places, though there are none: the lengths of blocks stand there. The block of the last column has 256 bytes, so that its length is read as the places and nothing is beyond the file.
    many = bars([(0, 0.97)], None, m={role: [5] * 30 for role in ORDER})
    data = [many.data(CLOSE, behind=factors(30, [(0, 0.97)], u8(0) + b"\x80\x80\x80\x80\0"))]
    assert len(data[0]) == 256
    wrong("places", "places, though there are none", "S16", ["S17"], of=many, columns={CLOSE: many.column(CLOSE, data, parameters=many.parameters(CLOSE) + u8(6))})
    # Runs and starts
    two, nan = [(0, 1.5), (2, 2.5)], float("nan")
    behind("runs", "more runs than rows", factors(5, [(row % 5, 1.5) for row in range(6)]))
    behind("runs-huge", "a count of runs that overflows", varint(MASK) + factors(5, two)[1:])
    behind("runs-long", "a count of runs of eleven bytes", b"\x80" * 10 + factors(5, two))
    behind("first", "a second run that begins at row 0", factors(5, [(0, 1.5), (0, 2.5)]))
    behind("last", "a run that begins behind the last row", factors(5, [(0, 1.5), (5, 2.5)]))
    behind("twice", "two runs that begin at one row", factors(5, [*two, (2, 3.5)]))
    behind("order", "runs that do not ascend", factors(5, [*two, (1, 3.5)]))
    behind("bits", "left-over bits of the starts", varint(2) + u8(2 | 8) + factors(5, two)[2:])
    for name, factor in (("zero", 0.0), ("minus-zero", -0.0), ("negative", -1.5), ("nan", nan), ("infinite", float("inf")), ("minus-infinite", float("-inf"))):
        behind(f"factor-{name}", f"a second factor that is {name}", factors(5, [(0, 1.5), (2, factor)]))
        behind(f"first-factor-{name}", f"the only factor is {name}", factors(5, [(0, factor)]))
    # Residues
    behind("residues-group", "residues that are predicted", factors(5, two, constant(0, transform=2)))
    behind("residues-code", "residues with a code beyond their dictionary", factors(5, two, dictionary(raw([0, 1, 2]), 3, [0, 1, 2, 3, 0])))
    behind("residues-width", "residues of 65 bits", factors(5, two, u8(1) + svarint(0) + u8(65) + bytes(41)))
    behind("residues-bits", "left-over bits of residues", factors(5, two, packed([0, 1, 2, 1, 0], 2)[:-1] + b"\xff"))
    ones = [(0, 8, 9900, 20), (0, 8, 10100, 12)]
    chosen = [(int(m >= 10150), m - (10100 if m >= 10150 else 9900)) for m in CLOSES]
    heap, lanes = model(5, ones), simple(NO_MEMORY)
    small = coded(5, [(0, 8, 0, 32)], [(0, 0)] * 5)
    for name, title, block, content, required in (
            ("coded", "coded", coded(5, ones, chosen), heap, BITS | 1), ("lanes", "coded in lanes", lanes.coded([(0, 0)] * 5), lanes.content(), BITS | 17)):
        columns = {CLOSE: some.modelled(CLOSE, some.data(CLOSE, behind=factors(5, two, block)), content)}
        wrong(f"residues-{name}", f"residues that are {title}", required=required, columns=columns)
    behind("residues-coded-no-model", "residues that are coded, in a column without a model", factors(5, two, small))
    # What is missing, or left over
    whole = factors(5, two, raw([0, 1, 2, 1, 0]))
    for name, title, end in (("missing", "nothing behind the mantissas of the close", 0), ("short-starts", "no starts", 1), ("short-factors", "no factors", 2), ("short-factor", "a factor cut short", 17),
                             ("short-residues", "no residues", 18), ("short-in-residues", "residues cut short", len(whole) - 1)):
        behind(name, title, whole[:end])
    behind("short-runs", "a count of runs cut short", b"\x80")
    behind("left-over", "a byte behind the residues", whole + b"\0")
    behind("none-left-over", "a byte behind a block without factors", varint(0) + b"\0")
    behind("none-residues", "residues behind a block without factors", varint(0) + constant(0))
    behind("exceptions", "no exceptions behind residues", whole, rule="K11", flags=2)
    behind("exceptions-far", "an exception behind the last row", whole + exceptions(5, [5], [3]), rule="K11", flags=2)
    behind("exceptions-left-over", "a byte behind exceptions that follow residues", whole + exceptions(5, [1], [3]) + b"\0", rule="K11", flags=2)
    wrong("mantissas", "mantissas of the close cut short", "K1", ["K13"], columns={CLOSE: some.column(CLOSE, [raw(CLOSES)[:-1]])})
    for role in (OPEN, HIGH, LOW):
        def of_other(name, title, fields, rule="K1", flags=0, role=role):
            behind(f"{NAMES[role]}-{name}", f"{title} behind the mantissas of the {NAMES[role]}", fields, role, rule, flags, also=["K13"] if rule == "K1" else None)

        of_other("left-over", "a byte", b"\0")
        of_other("none", "a count of no runs", varint(0))
        of_other("factors", "factors and residues", whole)
        of_other("exceptions", "nothing, where exceptions should stand", b"", "K11", 2)
        of_other("exceptions-left-over", "a byte behind exceptions", exceptions(5, [1], [3]) + b"\0", "K11", 2)
    # Adjusted closes that are not finite
    base = [single(paid(m) * 1.5) for m in CLOSES]
    for name, title, row, found in (("infinite", "infinite", 0, 0x7F800000), ("minus-infinite", "infinite and below zero", 4, 0xFF800000), ("nan", "a NaN", 2, 0x7FC00000),
                                    ("nan-least", "the first NaN", 3, 0x7F800001), ("nan-last", "the last of all bits", 1, 0xFFFFFFFF),
                                    ("far", "infinite by the low 32 bits", 4, 0x12345678_7F800000)):
        residues = [found - base[row] if row == at else 0 for at in range(5)]
        behind(f"residue-{name}", f"an adjusted close that is {title}, by its residue", factors(5, [(0, 1.5)], raw(residues)))

    def beyond(name, title, mantissas, of_runs, residues=None, flags=0, fields=b"", of_columns=None):
        group = of(mantissas, of_runs, residues)
        data = group.data(CLOSE) + fields
        wrong(f"beyond-{name}", title, of=group, columns={CLOSE: group.column(CLOSE, [data], flags), **(of_columns or {})})

    beyond("f32", "a product beyond the greatest f32", [100, 100, 100, 100, 200], [(0, 3e38)])
    beyond("f32-least", "the least product that is rounded to infinity", [1, 2, 100, 4, 5], [(0, EDGE)])
    beyond("f32-minus", "a product below the least f32", [100, -200, 100, 100, 100], [(0, 3e38)])
    beyond("f64", "a product beyond the greatest f64", [1, 1, 1, 1 << 62, 1], [(0, 1.0), (3, GREATEST), (4, 1.0)])
    beyond("f64-minus", "a product below the least f64", [-1 << 62, 1, 1, 1, 1], [(0, GREATEST), (1, 1.0)])
    beyond("residue", "a product beyond the greatest f32, and a residue that makes it a NaN", [100, 1, 1, 1, 1], [(0, 1e300), (1, 1.0)], [1, 0, 0, 0, 0])
    beyond("zero", "a close of 0 whose residue leads to infinity, though nothing is multiplied by it", [0, 1, 2, 3, 4], [(0, 1.0)], [0x7F800000, 0, 0, 0, 0])
    beyond("exception", "an adjusted close that is infinite under an exception", [100, 100, 100, 100, 200], [(0, 3e38)], None, 2, exceptions(5, [4], [-1]))
    for row in (0, 17, 63):
        mantissas = [100] * row + [-200] + [100] * (63 - row)
        group = of(mantissas, [(0, 3e38)], None)
        wrong(f"beyond-row-{row}", f"an adjusted close that is infinite in row {row} of 64", of=group)
        group = of([100] * 64, [(0, 1.5)], [0x7FC00000 - single(1.5) if row == at else 0 for at in range(64)])
        wrong(f"residue-row-{row}", f"an adjusted close that is a NaN in row {row} of 64", of=group)
    third = Bars({role: [100] * 1027 for role in ORDER}, [([(0, 1.5)], None), ([(0, 1.5)], None)])
    for name, title, fields in (("runs", "more runs than rows in the second block", factors(3, [(row % 3, 1.5) for row in range(4)])),
                                ("last", "a run that begins behind the last row of the second block", factors(3, [(0, 1.5), (3, 2.5)])),
                                ("missing", "nothing behind the mantissas of the close in the second block", b"")):
        columns = {CLOSE: third.column(CLOSE, [third.data(CLOSE), third.data(CLOSE, behind=fields, block=1)])}
        wrong(f"second-block-{name}", title, of=third, columns=columns)
    everywhere = Bars({role: [100] * 1024 + [100, 200] for role in ORDER}, [([(0, 3e38)], None), ([(0, 3e38)], None)])
    wrong("beyond-block", "an adjusted close that is infinite in the last row of a second block", of=everywhere)
    # Zone maps
    count = 130
    zoned_bars = of([row + 3 for row in range(count)], [(0, 0.97)], None)
    found = zoned_bars.values(CLOSE)
    for name, title, low, high in (("zones", "zone maps whose bounds are the prices that were paid", 3, 132), ("zones-near", "zone maps whose bounds are the nearest decimals", 3, 128)):
        columns = {CLOSE: zoned_bars.column(CLOSE, zones=stated(low, high, floats(found)))}
        wrong(name, title, "S25", of=zoned_bars, columns=columns)
    of_paid = zones(found, 3, 128)[:-8] + total(map(paid, zoned_bars.m[CLOSE]))
    wrong("zones-sum", "zone maps whose sum is that of the prices that were paid", "S25", of=zoned_bars, columns={CLOSE: zoned_bars.column(CLOSE, zones=of_paid)})
