"""Vectors of factors (codecs.md): columns of segments whose decimals are multiplied."""

import struct

from encode import *  # noqa: F403
from segments import CONTEXT, F32, F64, I64, T0, bits_of, chunk_of, decimal_bits, one_column, rows_of

FLAG, BIT = 64, 8


def product(mantissa, factor, residue=0, exponent=2, divisor=1):
    """The bits of a decimal times a factor, and a residue."""
    decimal = float(wrap(mantissa * divisor)) / float(f"1e{exponent}")
    return (bits_of(decimal * factor) + residue) & (1 << 64) - 1


def factors(count, runs, residues=None, stated=None):
    """The fields behind the mantissas: runs are (first row, factor), the first from row 0."""
    out = varint(len(runs) if stated is None else stated) + pack([start for start, _ in runs[1:]], bits(count - 1))
    out += b"".join(struct.pack("<d", factor) for _, factor in runs)
    return out + (constant(0) if residues is None else residues)


def factor_of(runs, row):
    return [factor for start, factor in runs if start <= row][-1]


def segments(good, bad, Noise):
    noise = Noise(600)

    def fine(name, title, data, expected, rule="K17"):
        good(f"segment-factors-{name}", "segment", title, rule, data, **CONTEXT, expected=expected)

    def fine_column(name, title, values, parameters, data, flags=FLAG, rule="K17", encoding=4, required=BIT, **other):
        fine(name, title, *one_column(F64, values, encoding, parameters, data, flags, required=required, **other), rule)

    for count in (1, 2, 3, 1024):
        steps = [noise.below(900) for _ in range(count)]
        runs = [(row * count // min(count, 3), 1.1 + row / 7) for row in range(min(count, 3))]
        beside = [noise.below(3) - 1 for _ in range(count)]
        values = [product(step, factor_of(runs, row), beside[row]) for row, step in enumerate(steps)]
        fine_column(f"{count}", f"{count} decimals with factors and residues", values, scale(2, 1),
                    [packed(steps, 10) + factors(count, runs, packed([residue + 1 for residue in beside], 2, -1))])
    # Every block has its own; a block without factors between
    mantissas = [100 + row % 700 for row in range(2050)]
    runs = [[(0, 1.25), (1000, 3.3)], None, [(0, 0.07)]]
    data, values = [], []
    for block, of_block in enumerate(runs):
        some = mantissas[block * 1024:(block + 1) * 1024]
        data.append(packed([mantissa - 100 for mantissa in some], 10, 100) + (factors(len(some), of_block) if of_block else varint(0)))
        values += [product(mantissa, factor_of(of_block or [(0, 1.0)], row)) for row, mantissa in enumerate(some)]
    fine_column("blocks", "three blocks, the second of plain decimals", values, scale(2, 1), data)
    five = [0, -300, 7, 1 << 40, 12]
    for name, title, runs in [
        ("each-row", "a factor for each row", [(row, 1 + row / 10) for row in range(5)]),
        ("last-row", "a factor of the last row", [(0, 2.0), (4, 0.3)]),
        ("least", "the least factor", [(0, 5e-324)]),
        ("greatest", "the greatest factor: products that are infinite", [(0, 1.7976931348623157e308)]),
        ("one", "factor 1", [(0, 1.0)]),
    ]:
        values = [product(mantissa, factor_of(runs, row)) for row, mantissa in enumerate(five)]
        fine_column(name, title, values, scale(2, 1), [raw(five) + factors(5, runs)])
    fine_column("none", "no factors: plain decimals", [decimal_bits(mantissa, 2, 1, F64) for mantissa in five], scale(2, 1), [raw(five) + varint(0)])
    fine_column("scale", "a divisor, and a product with it that wraps", [product(mantissa, 1.7, 0, 3, 25) for mantissa in (4, 1 << 60)], scale(3, 25),
                [raw([4, 1 << 60]) + factors(2, [(0, 1.7)])])
    # Residues of every kind: any bits can be reached
    wanted = [0x7FF8DEADBEEF0001, 0x8000000000000000, 0, 0xFFF0000000000000, 1]
    data = [wrap(value - product(mantissa, 1.5)) for value, mantissa in zip(wanted, five)]
    fine_column("residues", "residues that lead to a NaN, a negative zero, an infinity", wanted, scale(2, 1), [raw(five) + factors(5, [(0, 1.5)], raw(data))])
    plain = [product(mantissa, 1.5) for mantissa in five]
    for name, title, residues, block in [
        ("delta", "residues as differences", [1, 2, 3, 4, 5], constant(1, transform=1)),
        ("alternate", "residues as differences from two before", [1, 0, 2, 0, 3], dictionary(raw([1, 0]), 2, [0, 1, 0, 1, 0], transform=3)),
        ("sparse", "few residues", [0, 0, -1, 0, 0], sparse(0, raw([-1]), [False, False, True, False, False])),
    ]:
        values = [value + residue & (1 << 64) - 1 for value, residue in zip(plain, residues)]
        fine_column(f"residues-{name}", title, values, scale(2, 1), [raw(five) + factors(5, [(0, 1.5)], block)])
    values = list(plain)
    values[1], values[4] = 0x7FF8000000000123, None
    data = nulls([value is None for value in values]) + raw(five) + factors(5, [(0, 1.5)]) + exceptions(5, [1], [wrap(values[1] - plain[1])])
    fine_column("exceptions", "exceptions behind factors, and nulls", values, scale(2, 1), [data], FLAG | 3, "K11")
    fine_column("all-null", "a block of nulls alone has no factors", [None] * 1024 + plain[:1], scale(2, 1),
                [nulls([True] * 1024), nulls([False]) + constant(0) + factors(1, [(0, 1.5)])], FLAG | 1)
    count = 130
    values = [product(row - 3, 1.5) for row in range(count)]
    floats = [struct.unpack("<d", struct.pack("<Q", value))[0] for value in values]
    total = 0.0
    for value in floats:
        total += value
    # Bounds are decimals without factors: here 4.5 cents below zero, with an exception, and 1.89
    low, high = -4, round(max(floats) * 100)
    fixes = [wrap(bits_of(least) - decimal_bits(mantissa, 2, 1, F64)) for least, mantissa in ((min(floats), low), (max(floats), high))]
    zones = constant(low) + constant(high - low) + exceptions(1, [0], fixes[:1]) + exceptions(1, [0], fixes[1:]) + struct.pack("<d", total)
    fine_column("zones", "zone maps, whose bounds have no factors", values, scale(2, 1), [packed(list(range(count)), 8, -3) + factors(count, [(0, 1.5)])], zones=zones, rule="S25")
    ones = [(0, 4, 9300, 30), (1, 3, 950, 2)]
    chosen = [(0, 1), (1, 3), (0, 15), (0, 0), (1, 7)]
    heap = model(5, ones)
    values = [product(mantissa, 1.5, 1) for mantissa in binned(ones, chosen)]
    fine_column("coded", "coded mantissas with factors", values, scale(2, 1) + varint(len(heap)), [coded(5, ones, chosen) + factors(5, [(0, 1.5)], constant(1))],
                FLAG | 32, "K16", required=BIT | 1, heap=heap)
    bars(fine)
    fine("bit-unused", "a file with the feature bit and no factors", *one_column(I64, [5, 6], 3, b"", [raw([5, 6])], required=BIT))
    broken(bad, heap, coded(5, ones, chosen))


def bars(fine):
    """The group: predictions are of mantissas, whatever the factors; a member may have none, or others."""
    opens, close = [1000, 1010, 1007, 990, 1001], [1005, 1008, 990, 1000, 1003]
    tops, lows = [max(pair) + 2 for pair in zip(opens, close)], [min(pair) - 1 for pair in zip(opens, close)]
    every = {role: [(0, 1.0625), (3, 1.01)] for role in range(4)}
    for name, title, runs in [
        ("group", "bars with factors", every),
        ("group-close", "factors of the close alone", {0: every[0]}),
        ("group-differ", "a member with other factors, and one with none", {**every, 2: [(0, 7.5)], 3: None}),
    ]:
        columns, values = [], []
        for number, (role, mantissas) in enumerate(((1, opens), (2, tops), (3, lows), (0, close))):
            data = {2: constant(2, transform=2), 3: constant(1, transform=2)}.get(role) or raw(mantissas)
            of_role = runs.get(role)
            if role in runs:
                data += factors(5, of_role) if of_role else varint(0)
            columns.append(Column(8 + number, F64, 5, u8(role) + scale(2, 1), [data], FLAG if role in runs else 0))
            values.append((F64, [product(mantissa, factor_of(of_role or [(0, 1.0)], row)) for row, mantissa in enumerate(mantissas)]))
        part = Part(1, [(number, F64) for number in range(4)], [chunk_of(columns, 5)], ohlc=(0, 1, 2, 3))
        time = [T0 + row for row in range(5)]
        fine(name, title, segment([part], head=header(1, required=BIT)), {"parts": [{"series": 1, "live": rows_of(time, values), "history": [], "marks": []}]}, "K13")


def broken(bad, heap, coded_block):
    def wrong(name, title, behind, rule="K17", kind=F64, encoding=4, parameters=None, flags=FLAG, required=BIT, also=None, data=None, **other):
        data = constant(5) + behind if data is None else data
        parameters = scale(2, 1) if parameters is None else parameters
        column = one_column(kind, [0] * 5, encoding, parameters, [data], flags, required=required, **other)
        bad(f"segment-factors-{name}", "segment", title, rule, column[0], also=also, **CONTEXT)

    def of(*given, **other):
        return factors(5, *given, **other)

    two, nan = [(0, 1.5), (2, 2.5)], float("nan")
    wrong("runs", "more runs than rows", of([(row % 5, 1.5) for row in range(6)]))
    wrong("first", "a second run that begins at row 0", of([(0, 1.5), (0, 2.5)]))
    wrong("last", "a run that begins behind the last row", of([(0, 1.5), (5, 2.5)]))
    wrong("twice", "two runs that begin at one row", of([*two, (2, 3.5)]))
    wrong("order", "runs that do not ascend", of([*two, (1, 3.5)]))
    wrong("bits", "left-over bits of the starts", varint(2) + u8(2 | 8) + of(two)[2:])
    for name, factor in (("zero", 0.0), ("minus-zero", -0.0), ("negative", -1.5), ("nan", nan), ("infinite", float("inf"))):
        wrong(name, f"a factor that is {name}", of([(0, 1.5), (2, factor)]))
    whole = of(two)
    wrong("missing", "nothing behind the mantissas", b"")
    wrong("short-starts", "starts cut short", whole[:1])
    wrong("short-factor", "a factor cut short", whole[:17])
    wrong("short-residues", "no residues", whole[:18])
    wrong("left-over", "a byte behind the residues", whole + b"\0")
    wrong("none-left-over", "a byte behind a block without factors", varint(0) + b"\0")
    wrong("residues-group", "residues that are predicted", of(two, constant(0, transform=2)))
    wrong("residues-code", "residues with a code beyond their dictionary", of(two, dictionary(raw([0, 1, 2]), 3, [0, 1, 2, 3, 0])))
    wrong("residues-coded", "residues that are coded", None, parameters=scale(2, 1) + varint(len(heap)), flags=FLAG | 32, required=BIT | 1, heap=heap,
          data=coded_block + of(two, coded_block))
    wrong("exceptions", "no exceptions behind factors", whole, "K11", flags=FLAG | 2)
    wrong("no-bit", "factors in a file without the feature bit", whole, "S20", required=3, also=["S16"])
    wrong("f32", "factors of f32", whole, "S20", kind=F32, also=["S16"])
    wrong("integers", "factors of integers", whole, "S20", encoding=3, parameters=b"", also=["S16"])
    wrong("split", "factors of split floats", None, "S20", encoding=6, parameters=u8(8), data=constant(5) + bytes(5), also=["S16"])
    wrong("raw", "factors of raw values", None, "S20", encoding=2, parameters=b"", data=bytes(40), also=["S16"])
