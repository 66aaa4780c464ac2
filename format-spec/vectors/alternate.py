"""Vectors of the transform *alternate* (codecs.md): integer blocks of every packing, and columns of segments."""

import struct

from encode import *  # noqa: F403
from segments import (BOOL, CONTEXT, F32, F64, I64, MINUTE, STRING, T0, TIMESTAMP, U8, chunk_of, decimal_bits, one_column, rows_of)


def blocks(integers, bad_integers, Noise):
    """Transform 3, with every packing."""
    for count in (1, 2, 3, 1024):
        noise = Noise(400 + count)
        small = [noise.width(3) for _ in range(count)]
        wide = [offset | ((1 << 30) - 1 << 3 if row % 97 == 0 else 0) for row, offset in enumerate(small)]
        widths, selectors = [3, 0, 64, 33], [noise.below(4) for _ in range(count)]
        classed = [noise.width(widths[selector]) for selector in selectors]
        distinct = min(count, 5)
        codes = [(row * 7 + 1) % distinct for row in range(count)]
        table = [value * 1000003 - 9 for value in range(distinct)]
        taken = [row % 5 == 0 for row in range(count)]
        others = [100 + row for row in range(sum(taken))]
        rest = iter(others)
        lengths = [1] if count == 1 else [count // 2, count - count // 2]
        stops = [-3, 8][:len(lengths)]
        form = {"transform": 3, "first": 19000 + count, "second": -count}
        folded = {"zigzagged": True, "multiplier": 5}
        forms = [
            ("constant", constant(-4, **form), [-4] * count),
            ("packed", packed(small, 3, -3, **form), place(small, -3)),
            ("packed-form", packed(small, 3, 2, **form, **folded), place(small, 2, True, 5)),
            ("patched", patched(wide, 3, 30, -1, **form), place(wide, -1)),
            ("runs", runs(raw(stops), raw([length - 1 for length in lengths]), len(lengths), **form),
             [stop for stop, length in zip(stops, lengths) for _ in range(length)]),
            ("dictionary", dictionary(raw(table), distinct, codes, **form), [table[code] for code in codes]),
            ("sparse", sparse(-1, packed(others, bits(max(others))), taken, **form), [next(rest) if bit else -1 for bit in taken]),
            ("raw", raw([noise.word() for _ in range(count)], **form), None),
            ("classes", classes(classed, widths, selectors, 7, **form, **folded), place(classed, 7, True, 5)),
        ]
        for name, data, numbers in forms:
            if numbers is None:
                numbers = [wrap(int.from_bytes(data[at:at + 8], "little")) for at in range(len(data) - 8 * count, len(data), 8)]
            integers(f"alternate-{name}-{count:04}", f"{count} numbers, each added to the one two before: {name}", data,
                     alternated(form["first"], form["second"], numbers))
    top, least = (1 << 63) - 1, -1 << 63
    integers("alternate-wraps", "sums of two rows each that wrap", raw([1, -1, top, least, top, least, 5], transform=3, first=top, second=least),
             alternated(top, least, [1, -1, top, least, top, least, 5]))
    integers("alternate-apart", "two sums as far apart as there are", constant(0, transform=3, first=top, second=least), [top, least] * 4 + [top])
    integers("alternate-one-second", "a second number that no row takes", constant(5, transform=3, first=-1, second=least), [4])
    integers("alternate-delta-inside", "differences inside a block of alternate ones",
             dictionary(constant(1, transform=1, first=4), 3, [2, 0, 1, 2], transform=3, first=100, second=-100), alternated(100, -100, [7, 5, 6, 7]))
    integers("alternate-delta-runs", "differences as values and as lengths of runs",
             runs(constant(1, transform=1, first=0), constant(1, transform=1, first=-1), 3, transform=3, first=10, second=20),
             alternated(10, 20, [1, 2, 2, 3, 3, 3]))
    integers("alternate-long-varint", "a second number in more bytes than necessary", head(0, 3)[:1] + svarint(5) + b"\x82\x80\x00" + svarint(1), [6, 2, 7])

    short = head(0, 3)[:1]
    bad_integers("alternate-short-first", "nothing behind the header of transform alternate", short, 2)
    bad_integers("alternate-short-second", "a second number cut short", short + svarint(5) + b"\x80", 2)
    bad_integers("alternate-short-value", "nothing behind the two numbers", head(0, 3, first=5, second=6), 2)
    bad_integers("alternate-one-short", "no second number where one row would not take it", short + svarint(5) + svarint(1), 1)
    bad_integers("alternate-second-11", "a second number of eleven bytes", short + svarint(5) + b"\x80" * 10 + b"\x00" + svarint(1), 2)
    bad_integers("alternate-third", "a number too many", head(0, 3, first=5, second=6) + svarint(7) + svarint(1), 3)
    bad_integers("alternate-zigzag", "zigzag with packing 0", head(0, 3, True, first=5, second=6) + svarint(1), 2)
    bad_integers("alternate-multiplier", "a multiplier with packing 6", head(6, 3, multiplier=2, first=5, second=6) + bytes(16), 2)
    bad_integers("alternate-bit-7", "a coded block without a model", head(0, 3, first=5, second=6, reserved=1) + svarint(1), 2)
    inner = constant(1, transform=3, first=4, second=5)
    for name, data in (("runs", runs(inner, constant(0), 2)), ("lengths", runs(raw([1, 2]), constant(0, transform=3, first=0, second=0), 2)),
                       ("dictionary", dictionary(inner, 2, [0, 1])), ("sparse", sparse(0, inner, [True, True]))):
        bad_integers(f"inner-alternate-{name}", f"transform alternate inside a block: {name}", data, 2)
    for packing, data in ((1, packed([1, 2], 2, transform=3)), (2, patched([1, 9], 2, 2, transform=3)), (6, raw([1, 2], transform=3))):
        bad_integers(f"inner-alternate-{packing}", f"transform alternate inside a block, with packing {packing}", dictionary(data, 2, [0, 1]), 2)


def quotes(count, noise, bid=18700, ask=18900):
    """Steps of a price on each side of the market, rows of the two in turn, and the prices."""
    steps = [noise.below(7) for _ in range(count)]
    return steps, alternated(bid, ask, place(steps, -3))


def segments(good, bad, Noise):
    noise = Noise(500)
    sides = {"transform": 3, "first": 18700, "second": 18900}

    def fine(name, title, data, expected, rule="K1"):
        good(f"segment-alternate-{name}", "segment", title, rule, data, **CONTEXT, expected=expected)

    def fine_column(name, title, *arguments, rule="K1", required=2, **other):
        fine(name, title, *one_column(*arguments, required=required, **other), rule)

    def column(name, title, numbers, kind, encoding, parameters, values, tail=b"", lead=b"", flags=0):
        """One block of raw differences from the row two before."""
        before = [0, 0, *numbers]
        data = raw([number - other for number, other in zip(numbers, before)], transform=3)
        fine_column(name, title, kind, values, encoding, parameters, [lead + data + tail], flags)

    # Blocks of columns: each begins with numbers of its own
    for count in (1, 2, 3, 1023, 1025):
        steps, prices = quotes(count, noise)
        data = []
        for at in range(0, count, 1024):
            begin = [prices[at + side] - place(steps[at + side:at + side + 1], -3)[0] if at + side < count else 7 for side in (0, 1)]
            data.append(packed(steps[at:at + 1024], 3, -3, transform=3, first=begin[0], second=begin[1]))
        fine_column(f"{count}", f"{count} integers in turn, each block with two numbers of its own", I64, prices, 3, b"", data)
        bits_of_prices = [decimal_bits(price, 2, 1, F64) for price in prices]
        fine_column(f"decimal-{count}", f"{count} decimals in turn", F64, bits_of_prices, 4, scale(2, 1), data)
    # Where numbers of 32 bits do not do, though the block looks as if they did
    half = 1 << 31
    for name, title, first, second, step in [
        ("second-wide", "a second number beyond 32 bits", 5, half, 1), ("first-wide", "a first number beyond 32 bits", -half - 1, 5, 1),
        ("second-edge", "a second sum that passes 2^31", 0, half - 4, 1), ("first-edge", "a first sum that passes -2^31", 3 - half, 0, -1),
        ("steps-wide", "steps whose sums of every other row reach 2^31", 0, 0, half // 20), ("apart", "two sums far apart", -half * 5, half * 5, 7),
    ]:
        values = alternated(first, second, [step] * 41)
        form = {"transform": 3, "first": first, "second": second}
        fine_column(name, title, I64, values, 3, b"", [constant(step, **form)])
        fine_column(f"{name}-decimal", f"{title}, of decimals", F64, [decimal_bits(value, 1, 1, F64) for value in values], 4, scale(1, 1),
                    [packed([1] * 41, 1, step - 1, **form)])

    # Every type and encoding that holds integer blocks
    prices = quotes(9, noise)[1]
    column("i64", "integers", [1 << 60, -5, (1 << 60) + 1, -4], I64, 3, b"", [1 << 60, -5, (1 << 60) + 1, -4])
    column("timestamp", "timestamps", [T0, -T0, T0 + 1, 0], TIMESTAMP, 3, b"", [T0, -T0, T0 + 1, 0])
    column("u8", "numbers of a byte", [0, 255, 1, 254], U8, 3, b"", [0, 255, 1, 254])
    column("bool", "true and false in turn", [1, 0, 1, 0, 1], BOOL, 3, b"", [1, 0, 1, 0, 1])
    column("f32", "f32 by their bits", [0xFFFFFFFF, 0, 0xFFFFFFFE, 3], F32, 3, b"", [0xFFFFFFFF, 0, 0xFFFFFFFE, 3])
    column("decimal-f32", "decimals of f32", prices, F32, 4, scale(2, 25), [decimal_bits(price, 2, 25, F32) for price in prices])
    wanted = [decimal_bits(price, 2, 1, F64) for price in prices]
    wanted[4] += 3
    wanted[1] = None
    column("decimal-exceptions", "decimals with nulls and an exception", prices, F64, 4, scale(2, 1), wanted, exceptions(9, [4], [3]),
           nulls([row == 1 for row in range(9)]), 3)
    split = [price << 40 | row for row, price in enumerate(prices)]
    column("split", "high bits of split floats", prices, F64, 6, u8(40), split, pack(list(range(9)), 40))
    texts = ["bid", "offer", "bid", "offers", "bids"]
    column("text", "lengths of texts", [len(text) for text in texts], STRING, 8, b"", texts, "".join(texts).encode())
    fine_column("dictionary", "codes of texts in turn", STRING, ["bid", "ask"] * 4, 7, varint(2) + varint(8),
                [constant(0, transform=3, first=0, second=1)], heap=b"\x03bid\x03ask")

    # The group: the close may be alternate, and the others instead of a prediction
    close, opens = quotes(9, noise)[1], quotes(9, noise)[1]
    tops = [max(pair) + 1 for pair in zip(opens, close)]
    lows = [min(pair) - 2 for pair in zip(opens, close)]
    columns = []
    for number, (role, numbers) in enumerate(((1, opens), (2, None), (3, None), (0, close))):
        if numbers:
            data = raw([price - before for price, before in zip(numbers, [18700, 18900, *numbers])], **sides)
        else:
            data = constant(role - 1, transform=2)
        columns.append(Column(8 + number, F64, 5, u8(role) + scale(2, 1), [data]))
    part = Part(1, [(number, F64) for number in range(4)], [chunk_of(columns, 9)], ohlc=(0, 1, 2, 3))
    values = [(F64, [decimal_bits(price, 2, 1, F64) for price in numbers]) for numbers in (opens, tops, lows, close)]
    time = [T0 + row for row in range(9)]
    fine("group", "bars whose open and close are alternate", segment([part], head=header(1, required=2)),
         {"parts": [{"series": 1, "live": rows_of(time, values), "history": [], "marks": []}]}, "K13")

    # Times, columns of the system, zone maps, runs
    time = [T0 + row // 2 * 1000 + row % 2 * 3 for row in range(7)]
    alternate = {0: constant(1000, transform=3, first=T0 - 1000, second=T0 - 997), 1: constant(2, transform=3, first=-1, second=3)}
    system_columns = [Column(0, I64, 3, b"", [alternate[0]]), Column(1, I64, 3, b"", [alternate[1]]), system(3, 9), system(4, 0)]
    rows = [[at, version, 9, 0] for at, version in zip(time, alternated(-1, 3, [2] * 7))]
    fine("system", "times and versions", segment([Part(1, [], [Chunk(time, system_columns)], (1, 9))], head=header(1, required=2)),
         {"parts": [{"series": 1, "live": rows, "history": [], "marks": []}]})
    count = 1030
    bounds = [(18700 + block, 18900 - block) for block in range(2)]
    prices = [bounds[row // 1024][row % 2] for row in range(count)]
    data = [constant(0, transform=3, first=low, second=high) for low, high in bounds]
    total = sum(prices[:1024]), sum(prices[1024:])
    zones = constant(0, transform=3, first=18700, second=18701) + constant(0, transform=3, first=200, second=198) + struct.pack("<2d", *total)
    fine_column("zones", "zone maps", I64, prices, 3, b"", data, zones=zones, rule="S25")
    slots = [0, 1, 2, 5, 9, 10, 11, 14]
    runs_of = raw([0, 2, 3, 0], transform=3, first=0, second=0) + constant(0, transform=3, first=3, second=1)
    part = Part(1, [], [Chunk([slot * MINUTE for slot in slots], [system(1, 1), system(3, 0), system(4, 0)])], bits=1, timeframe=2, grid_rows=len(slots),
                run_blocks=[(0, runs_of, 4, len(slots))])
    live = rows_of([slot * MINUTE for slot in slots], [])
    fine("runs", "gaps and lengths of runs", segment([part], head=header(1, required=2)), {"parts": [{"series": 1, "live": live, "history": [], "marks": []}]}, "S14")

    # The feature bit
    fine_column("no-bit", "a file without the feature bit: read all the same", I64, [18700, 18900] * 2, 3, b"", [constant(0, **sides)], required=0)
    fine_column("bit-unused", "a file with the feature bit and no such block", I64, [5, 6], 3, b"", [raw([5, 6])])
    coded_alternates(fine_column, bad, noise)


def coded_alternates(fine_column, bad, noise):
    """Transform 3 in coded blocks: both feature bits."""
    bins = [(0, 0, 0, 20), (0, 2, -2, 8), (1, 5, 1, 3), (0, 64, -1 << 63, 1)]

    def some(count, most):
        return [(number, noise.word() & (1 << bins[number][1]) - 1) for number in (min(most, noise.below(9) // 2) for _ in range(count))]

    def of(chosen, first, second, kind=I64, encoding=3, parameters=b"", values=None, data=None, required=3):
        heap, numbers, data = model(5, bins), [], [] if data is None else data
        for at in range(0, len(chosen), 1024):
            numbers += alternated(first, second, binned(bins, chosen[at:at + 1024]))
        data = data or [coded(5, bins, chosen[at:at + 1024], transform=3, first=first, second=second) for at in range(0, len(chosen), 1024)]
        values = values(numbers) if values else numbers
        return {"kind": kind, "values": values, "encoding": encoding, "parameters": parameters + varint(len(heap)), "data": data, "flags": 32, "heap": heap, "required": required}

    for count in (1, 2, 3, 1024, 1025):
        fine_column(f"coded-{count}", f"{count} coded integers in turn", rule="K16", **of(some(count, 2), 18700, 18900))
    fine_column("coded-wraps", "coded sums that wrap", rule="K16", **of(some(40, 3), (1 << 63) - 1, -1 << 63))
    fine_column("coded-decimal", "coded decimals in turn", rule="K16",
                **of(some(30, 2), 18700, 18900, F64, 4, scale(2, 1), lambda numbers: [decimal_bits(number, 2, 1, F64) for number in numbers]))
    fine_column("coded-and-packed", "a packed block in a column with a model", rule="K16",
                **of([], 0, 0, values=lambda _: [5, 9, 5, 9, 5], data=[constant(0, transform=3, first=5, second=9)]))

    def broken(name, title, rule, data, required=3, also=None):
        chosen = [(0, 0)] * 4
        block = of(chosen, 5, 6, data=[data] if data else None, required=required)
        bad(f"segment-alternate-{name}", "segment", title, rule, one_column(**block)[0], also=also, **CONTEXT)

    whole = coded(5, bins, [(0, 0)] * 4, transform=3, first=5, second=6)
    broken("coded-short-first", "nothing behind the header of a coded block", "K1", whole[:1])
    broken("coded-short-second", "no second number in a coded block", "K1", whole[:2])
    broken("coded-short-words", "nothing behind the two numbers of a coded block", "K16", whole[:3])
    broken("coded-third", "a number too many in a coded block", "K16", whole[:3] + svarint(7) + whole[3:])
    broken("coded-zigzag", "zigzag in a coded block", "K1", u8(whole[0] | 32) + whole[1:])
    broken("coded-no-feature", "a model in a file with bit 1 alone", "S20", None, 2, ["S16"])
