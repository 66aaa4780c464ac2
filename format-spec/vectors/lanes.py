"""Vectors of coded blocks in lanes (codecs.md): models with and without memory, and dictionaries with a model."""

import struct

from encode import *  # noqa: F403
from segments import BOOL, CONTEXT, F32, F64, I64, STRING, T0, TIMESTAMP, U8, bits_of, chunk_of, decimal_bits, one_column, rows_of

FLAG, BITS = 32, 17
# One value; 8; one of four below zero; all of 64 bits; 16 times 10^18
SIMPLE = [(0, 0, 0), (0, 3, 1), (1, 2, -2), (0, 64, -(1 << 63)), (18, 4, -9)]
CLASSES = [0, 1, 2, 3, 3]
NAMES = {NO_MEMORY: "none", PAIR: "pair", MEAN_1: "mean-1", MEAN_2: "mean-2", MEAN_3: "mean-3"}


def states_of(memory, classes):
    return {NO_MEMORY: 1, PAIR: classes ** 2}.get(memory) or classes << memory - 1


def simple(memory, log=8, of_states=None):
    """Tables of the bins above, three of them where there is a memory."""
    size = 1 << log
    tables = [[size - 128, 64, 32, 24, 8], [1, size - 4, 1, 1, 1], [50, 70, size - 180, 50, 10]]
    if memory == NO_MEMORY:
        return Lanes(log, SIMPLE, tables[:1])
    return Lanes(log, SIMPLE, tables, memory, 4, CLASSES, of_states or [state * 7 // 3 % 3 for state in range(states_of(memory, 4))])


def of(model, chosen, kind=I64, encoding=3, parameters=b"", values=None, data=None, flags=FLAG, required=BITS, heap=None, **form):
    """A column with a model: arguments of `one_column`."""
    content = model.content() if heap is None else heap
    data = [model.coded(chosen[at:at + 1024], **form) for at in range(0, len(chosen), 1024)] if data is None else data
    return {"kind": kind, "values": binned(model.bins, chosen) if values is None else values, "encoding": encoding, "required": required,
            "parameters": parameters + varint(len(content)), "data": data, "flags": flags, "heap": content}


def dictionary_of(strings, codes, data, content, empty=(), flags=FLAG, required=BITS, **other):
    """A dictionary and its model, each in sealed bytes of its own."""
    heap = b"".join(varint(len(text.encode())) + text.encode() for text in strings)
    values = [None if row in empty else strings[code] for row, code in enumerate(codes)]
    return {"kind": STRING, "values": values, "encoding": 7, "parameters": varint(len(strings)) + varint(len(heap)) + varint(len(content)), "data": data,
            "flags": flags, "heap": heap, "model": content, "required": required, **other}


def segments(good, bad, Noise):
    noise = Noise(1800)

    def fine_column(name, title, rule="K19", **column):
        good(f"segment-lanes-{name}", "segment", title, rule, one_column(**column)[0], **CONTEXT, expected=one_column(**column)[1])

    def broken_column(name, title, rule, also=None, **column):
        bad(f"segment-lanes-{name}", "segment", title, rule, one_column(**column)[0], also=also, **CONTEXT)

    def some(bins, count, weights=(9, 6, 3, 1, 1)):
        weighted = [number for number, weight in enumerate(weights[:len(bins)]) for _ in range(weight)]
        return [(number, noise.width(bins[number][1])) for number in (weighted[noise.below(len(weighted))] for _ in range(count))]

    # Every memory, and every way in which rows are shared among lanes
    for memory, name in NAMES.items():
        counts = (1, 2, 3, 4, 5, 6, 9, 1023, 1024, 2500) if memory == PAIR else (1, 5, 1000)
        for count in counts:
            model = simple(memory)
            fine_column(f"{name}-{count}", f"{count} numbers, memory: {name}", **of(model, some(SIMPLE, count)))
    models(fine_column, some, noise)
    columns(fine_column, some)
    dictionaries(fine_column, broken_column, noise)
    bars(good, some)
    wrong_models(broken_column, some)
    wrong_blocks(broken_column, some)


def models(fine_column, some, noise):
    """What a model may be."""
    for log in range(8, 13):
        size = 1 << log
        bins = [(0, 5, 0), (0, 63, 1), (3, 33, -1 << 32)]
        fine_column(f"log-{log}", f"coders of 2^{log} states", "K18", **of(Lanes(log, bins, [[size - 3, 1, 2]]), some(bins, 300, (5, 1, 1))))
        tables = [[size - 3, 1, 2], [1, size // 2, size // 2 - 1]]
        model = Lanes(log, bins, tables, MEAN_2, 3, [0, 1, 2], [row % 2 for row in range(12)])
        fine_column(f"log-{log}-mean", f"two tables of coders of 2^{log} states", "K18", **of(model, some(bins, 300, (3, 2, 2))))
    widths = [(0, width, width - 32) for width in range(65)]
    model = Lanes(10, widths, [[15] * 64 + [64]])
    chosen = [(row % 65, noise.width(row % 65)) for row in range(650)]
    fine_column("widths", "offsets of every width", "K19", **of(model, chosen))
    ends = [(width, offset) for width in (0, 1, 63, 64) for offset in (0, (1 << width) - 1)]
    for width in (31, 32, 33, 40, 41):
        of_width = Lanes(9, [(0, width, 0)], [[512]])
        fine_column(f"offsets-{width}", f"one number, {width} bits of offsets", "K19", **of(of_width, [(0, (1 << width) - 2)]))
    for log in (8, 12):
        bytes_of = Lanes(log, [(0, 8, 0), (1, 8, 0)], [[100, (1 << log) - 100]])
        full = [(row % 2, 255) for row in range(9)]
        fine_column(f"ends-{log}", f"all four lanes end in state 255 of 2^{log}", "K19", **of(bytes_of, full))
        fine_column(f"ends-{log}-idle", "three lanes without a row begin and end in states that tell offsets", "K19", **of(
            Lanes(log, [(0, 32, 0)], [[1 << log]]), [(0, 0x80FF017F)]))
    fine_column("widths-ends", "the least and the greatest offset", "K19", **of(model, ends))
    places = [(number, 4, number - 9) for number in range(19)]
    model = Lanes(8, places, [[12] * 18 + [40]])
    fine_column("places", "every number of places; products that wrap", "K18", **of(model, [(row % 19, row % 16) for row in range(76)]))
    wraps = [(0, 3, (1 << 63) - 4), (0, 2, -1 << 63), (0, 64, (1 << 63) - 1)]
    model = Lanes(8, wraps, [[80, 80, 96]])
    fine_column("wraps", "lowers whose differences wrap, offsets that lead beyond 64 bits", "K18", **of(model, [(0, 7), (1, 0), (0, 3), (2, MASK), (2, 1), (1, 3)]))
    one = [(2, 0, -7)]
    fine_column("one-bin", "one bin of one value: nothing behind the four states", "K18", **of(Lanes(12, one, [[1 << 12]]), [(0, 0)] * 9))
    most = [(0, 0, number * 3) for number in range(1024)]
    model = Lanes(10, most, [[1] * 1024])
    fine_column("1024-bins", "as many bins as there may be, each with one state", "K18", **of(model, [(row * 7 % 1024, 0) for row in range(1024)]))
    same = [(0, 2, 5), (0, 2, 5), (0, 1, 6)]
    fine_column("same-bins", "bins that overlap", "K18", **of(Lanes(8, same, [[56, 72, 128]]), [(0, 1), (1, 1), (2, 0), (2, 1), (1, 3)]))
    # Tables
    model = Lanes(8, SIMPLE, [[160, 0, 96, 0, 0], [0, 256, 0, 0, 0]], PAIR, 2, [0, 0, 1, 1, 1], [0, 0, 0, 1])
    chosen = [(0, 0), (2, 3), (0, 0), (2, 1), (0, 0), (2, 2), (2, 0), (2, 0)]
    fine_column("absent", "bins that do not occur in a table, or in none; a table that is not met", "K18", **of(model, chosen))
    model = Lanes(8, SIMPLE, [[248, 8, 0, 0, 0], [0, 256, 0, 0, 0]], PAIR, 2, [0, 1, 1, 1, 1], [0, 1, 0, 1])
    chosen = [(0, 0), (1, 5), (1, 7), (1, 0), (0, 0), (0, 0), (1, 3), (1, 1), (0, 0), (0, 0), (0, 0), (0, 0), (1, 2), (1, 6), (1, 6), (1, 6)]
    fine_column("one-bin-table", "a table of one bin among others: no bits are read", "K18", **of(model, chosen))
    for memory in (PAIR, MEAN_1, MEAN_2, MEAN_3):
        bins = [(0, 1, 2 * number) for number in range(16)]
        states = states_of(memory, 16)
        tables = [[8 + 128 * (number == most) for number in range(16)] for most in range(16)]
        model = Lanes(8, bins, tables, memory, 16, range(16), [state * 16 // states for state in range(states)])
        climb = [(min(row, 15), row % 2) for row in range(40)] + [(max(15 - row, 0), 1) for row in range(40)]
        fine_column(f"16-classes-{NAMES[memory]}", f"16 classes: {states} states of the memory, up to the highest and down again", "K18", **of(model, climb))
    for log in (8, 12):
        count = 32768 >> log
        tables = [[1 + number, (1 << log) - 1 - number] for number in range(count)]
        model = Lanes(log, [(0, 4, 0), (0, 4, 16)], tables, PAIR, 12, [3, 11], [state % count for state in range(144)])
        fine_column(f"{count}-tables", f"{count} tables of 2^{log} states, 32,768 together", "K18", **of(model, some(model.bins, 200, (1, 1))))
    model = Lanes(8, [(0, 4, 0), (0, 4, 16)], [[160, 96]], MEAN_1, 2, [1, 1], [0] * 4)
    fine_column("one-table", "a memory and one table; a class without a bin", "K18", **of(model, some(model.bins, 30, (1, 1))))
    # Blocks of a model, in every packing
    model = simple(PAIR)
    chosen = some(SIMPLE, 30)
    states = [0, 2, 1] * 5 + [0]
    model = simple(PAIR, of_states=states)
    for name, title, lies in [
        ("patched", "packed, patched", {"of_bins": packed(CLASSES, 2), "of_states": patched(states, 1, 1)}),
        ("runs", "runs, and values that repeat", {"of_bins": runs(raw([0, 1, 2, 3]), raw([0, 0, 0, 1]), 4), "of_states": dictionary(raw([0, 2, 1]), 3, [0, 1, 2] * 5 + [0])}),
        ("sparse", "few others, raw", {"of_bins": sparse(3, raw([0, 1, 2]), [True] * 3 + [False] * 2), "of_states": raw(states)}),
        ("delta", "differences", {"of_bins": raw(apart(CLASSES, 1), transform=1), "of_states": raw(apart(states, 1), transform=1)}),
        ("alternate", "differences from two before", {"of_bins": raw(apart(CLASSES, 2), transform=3), "of_states": raw(apart(states, 2), transform=3)}),
        ("classes", "four widths", {"frequencies": [classes(table, [4, 6, 7, 8], [sum(bits(frequency) > width for width in (4, 6, 7)) for frequency in table]) for table in model.tables]}),
    ]:
        fine_column(f"model-{name}", f"blocks of a model: {title}", "K18", **of(model, chosen, heap=model.content(**lies)))
    model = Lanes(8, [(0, 4, 0), (0, 4, 16)], [[128, 128]] * 2, PAIR, 2, [1, 1], [1] * 4)
    constants = {"of_bins": constant(1), "of_states": constant(1), "frequencies": [constant(128)] * 2}
    fine_column("model-constant", "blocks of a model: constants", "K18", **of(model, some(model.bins, 30, (1, 1)), heap=model.content(**constants)))
    # As many bytes as there may be
    model, content = longest()
    fine_column("longest-model", "a model of 65,536 bytes", "K18", **of(model, [(row * 5 % 1024, row % 2) for row in range(64)], heap=content))
    fine_column("longest-one-lane", "a model of one lane with 15,363 bytes, in a file that may have longer ones", "K15", **one_lane(longer_forms(15363)))


def apart(values, by):
    """Differences from the value before, or two before."""
    return [value - (values[row - by] if row >= by else 0) for row, value in enumerate(values)]


def one_lane(content, **other):
    """Four numbers, coded in one lane with the model of `longer_forms`."""
    bins = [(0, 0, 0, 16)] * 1024
    return of(None, [], values=[0] * 4, heap=content, data=[coded(14, bins, [(5, 0)] * 4)], **other)


def longer(value, size):
    """A varint of so many bytes."""
    return bytes(value >> 7 * at & 127 | (128 if at < size - 1 else 0) for at in range(size))


def longer_forms(size):
    """A model of one lane in so many bytes: its varints are longer than they need to be, which is allowed to them (README.md)."""
    out = u8(14) + varint(1024)
    for left in range(1024, 0, -1):
        out += b"\0\0" + longer(0, 10) + longer(15, (size - len(out)) // left - 12)
    assert len(out) == size
    return out


def longest(size=65536):
    """A model in so many bytes: most frequencies are raw, and some lowers take a byte more than they need to."""
    tables = [[3 + 2 * ((number + table) % 2) for number in range(1024)] for table in range(8)]

    def made(far):
        bins = [(0, 1, 100 * (min(number, far) % 2)) for number in range(1024)]
        model = Lanes(12, bins, tables, PAIR, 2, [number // 5 % 2 for number in range(1024)], [0, 3, 7, 2])
        return model, model.content(frequencies=[raw(table) for table in tables[:7]] + [packed(tables[7], 38)])

    model, content = made(size - len(made(0)[1]))
    assert len(content) == size
    return model, content


def columns(fine_column, some):
    """Where coded blocks may stand."""
    model = simple(PAIR)
    steps = some(SIMPLE, 41)
    fine_column("delta", "coded differences", **of(model, steps, values=summed(100, binned(SIMPLE, steps)), transform=1, first=100))
    fine_column("alternate", "coded differences from two before", **of(model, steps, values=alternated(-5, 7, binned(SIMPLE, steps)), required=BITS | 2, transform=3, first=-5, second=7))
    one = some(SIMPLE, 1)
    fine_column("alternate-1", "one number and what two are added to", **of(model, one, values=alternated(-5, 7, binned(SIMPLE, one)), required=BITS | 2, transform=3, first=-5, second=7))
    lead = some(SIMPLE, 1024)
    packed_block = packed([row % 5 for row in range(1024)], 3, 4)
    fine_column("and-packed", "a packed block between two coded ones", **of(
        model, [], values=binned(SIMPLE, lead) + [4 + row % 5 for row in range(1024)] + binned(SIMPLE, steps), data=[model.coded(lead), packed_block, model.coded(steps)]))
    fine_column("unused-model", "a model that no block uses", "K18", **of(model, [], values=[5, 6], data=[raw([5, 6])]))
    fine_column("null-blocks", "a block of nulls alone, and one with some", **of(
        model, [], values=[None] * 1025 + binned(SIMPLE, steps)[1:], data=[nulls([True] * 1024), nulls([True] + [False] * 40) + model.coded(steps)], flags=FLAG | 1))
    wide = [(0, 64, 0)]
    fine_column("long-block", "a block of more than 8192 bytes", **of(Lanes(8, wide, [[256]]), some(wide, 1024)))
    ones = [(0, 4, 9300), (1, 3, 950)]
    model = Lanes(8, ones, [[240, 16], [160, 96]], MEAN_1, 2, [0, 1], [0, 1, 0, 1])
    chosen = [(0, 1), (1, 3), (0, 15), (0, 0), (1, 7)]
    mantissas = binned(ones, chosen)
    cents = [decimal_bits(m, 2, 1, F64) for m in mantissas]
    fine_column("decimal", "coded mantissas", **of(model, chosen, F64, 4, scale(2, 1), cents))
    fine_column("decimal-f32", "coded mantissas of f32", **of(model, chosen, F32, 4, scale(2, 1), [decimal_bits(m, 2, 1, F32) for m in mantissas]))
    fine_column("decimal-nulls", "nulls and exceptions around a coded block", "K11", **of(
        model, chosen, F64, 4, scale(2, 1), [cents[0] + 3, None] + cents[2:], [nulls([0, 1, 0, 0, 0]) + model.coded(chosen) + exceptions(5, [0], [3])], FLAG | 3))
    fine_column("factors", "coded mantissas with a factor", "K17", **of(
        model, chosen, F64, 4, scale(2, 1), [bits_of(m / 100 * 1.5) for m in mantissas], [model.coded(chosen) + varint(1) + u64(bits_of(1.5)) + constant(0)], FLAG | 64, BITS | 8))
    fine_column("split", "coded high bits", **of(model, chosen, F64, 6, u8(50), [m << 50 & MASK | 5 for m in mantissas], [model.coded(chosen) + pack([5] * 5, 50)]))
    fine_column("split-f32", "coded high bits of f32", **of(model, chosen, F32, 6, u8(17), [m << 17 | 5 for m in mantissas], [model.coded(chosen) + pack([5] * 5, 17)]))
    fine_column("f32", "coded bits of f32", **of(model, chosen, F32, 3, values=mantissas))
    fine_column("timestamp", "coded timestamps", **of(model, chosen, TIMESTAMP))
    small = Lanes(8, [(0, 1, 0), (0, 0, 1)], [[72, 184]])
    few = some(small.bins, 20, (1, 1))
    fine_column("u8", "coded u8", **of(small, few, U8))
    fine_column("bool", "coded bools", **of(small, [(number, 0) for number, _ in few], BOOL))
    rows = [row * 3 - 100 for row in range(130)]
    model = Lanes(8, [(0, 2, -100), (0, 9, -96)], [[64, 192]])
    zones = constant(-100) + constant(387) + struct.pack("<d", float(sum(rows)))
    fine_column("zones", "zone maps behind the length of a model", "S25", **{
        **of(model, [(0, row + 100) if row < -96 else (1, row + 96) for row in rows]), "zones": zones})


def dictionaries(fine_column, broken_column, noise):
    """Encoding 7 with a model."""
    strings = ["N", "P", "Q", "", "ä" * 40]
    bins = [(0, 0, 2), (0, 1, 0), (0, 1, 3)]
    model = Lanes(8, bins, [[160, 80, 16], [32, 160, 64]], PAIR, 2, [0, 1, 1], [0, 1, 0, 1])

    def some(count):
        return [(0, 0) if noise.below(3) else (1 + noise.below(2), noise.below(2)) for _ in range(count)]

    def dictionary(chosen, **other):
        codes = binned(bins, chosen)
        data = [model.coded(chosen[at:at + 1024]) for at in range(0, len(chosen), 1024)]
        return dictionary_of(strings, **{"codes": codes, "data": data, "content": model.content(), **other})

    single = Lanes(8, [(0, 0, 0)], [[256]])
    fine_column("dictionary-1", "one text", **dictionary_of(["N"], [0], [single.coded([(0, 0)])], single.content()))
    for count in (5, 1500):
        fine_column(f"dictionary-{count}", f"{count} texts with coded codes", **dictionary(some(count)))
    chosen = some(12)
    codes = binned(bins, chosen)
    empty = {0, 3, 4, 11}
    marks = nulls([row in empty for row in range(12)])
    fine_column("dictionary-nulls", "nulls before a coded block", **dictionary(chosen, data=[marks + model.coded(chosen)], empty=empty, flags=FLAG | 1))
    fine_column("dictionary-null-blocks", "a block of nulls alone", **dictionary(
        chosen, codes=[0] * 1024 + codes, data=[nulls([True] * 1024), nulls([False] * 12) + model.coded(chosen)], empty=set(range(1024)), flags=FLAG | 1))
    far = Lanes(8, bins + [(0, 8, 5)], [[160, 64, 16, 16]])
    beyond = [(3, 77), *chosen[1:3], (3, 0), *chosen[4:]]
    fine_column("dictionary-under-nulls", "codes beyond the dictionary under nulls", "K14", **dictionary(
        chosen, data=[nulls([row in (0, 3) for row in range(12)]) + far.coded(beyond)], content=far.content(), empty={0, 3}, flags=FLAG | 1))
    steps = [(1, 1), (1, 1), (1, 0), (1, 1), (1, 0)]
    fine_column("dictionary-delta", "codes by their differences", **dictionary(
        steps, codes=summed(0, binned(bins, steps)), data=[model.coded(steps, transform=1)]))
    fine_column("dictionary-packed", "a packed block in a dictionary with a model", **dictionary(
        chosen, codes=[4, 0, 3, 1, 2], data=[packed([4, 0, 3, 1, 2], 3)]))
    fine_column("dictionary-both", "a packed block behind a coded one", **dictionary(
        chosen, codes=[2] * 1024 + [4, 0, 3], data=[model.coded([(0, 0)] * 1024), packed([4, 0, 3], 3)]))
    old = [(*bins[0], 16), (*bins[1], 8), (*bins[2], 8)]
    fine_column("dictionary-one-lane", "a dictionary with a model of one lane", "K16", **dictionary(
        chosen, data=[coded(5, old, chosen)], content=model_of_one(old)))
    large = [f"{row:04}" + "x" * 90 for row in range(110)]
    every = Lanes(8, [(0, 7, 0)], [[256]])
    fine_column("dictionary-pages", "a heap of two pages, and a model behind it", "K14", **dictionary_of(
        large, list(range(110)), [every.coded([(0, row) for row in range(110)])], every.content()))

    heap = b"".join(varint(len(text.encode())) + text.encode() for text in strings)

    def wrong(name, title, rule, also=None, **other):
        broken_column(f"dictionary-{name}", title, rule, also, **dictionary(chosen, **other))

    wrong("beyond", "a coded code beyond the dictionary", "K14", data=[far.coded(beyond)], content=far.content())
    wrong("negative", "a coded code below zero", "K14", data=[model.coded(chosen, transform=1, first=-9)])
    wrong("no-lanes", "a model of a dictionary in a file without feature bit 4", "S20", ["S16"], required=1)
    wrong("no-coded", "a model of a dictionary in a file without feature bit 0", "S20", ["S16"], required=16)
    wrong("no-features", "a model of a dictionary in a file without feature bits", "S20", ["S16"], required=0)
    wrong("empty-model", "a model of no bytes behind a heap", "S20", ["S16"], content=b"")
    wrong("no-model", "a coded block in a dictionary without a model", "K1", **{
        "flags": 0, "parameters": varint(5) + varint(len(heap)), "model": None})
    wrong("model-short", "a model behind a heap is cut short", "K18", content=model.content()[:-1])
    wrong("left-over", "a byte behind a coded block", "K19", data=[model.coded(chosen) + b"\0"])
    broken_column("dictionary-order", "a model before the heap", "K14", ["S5"], **{**dictionary(chosen), "heap": model.content(), "model": heap})


def model_of_one(bins):
    """A model of one lane, its frequencies 32 together."""
    return model(5, bins)


def bars(good, some):
    """The group in lanes: predictions are coded as well."""
    close, opens = [1005, 1008, 990, 1000, 1003], [1000, 1010, 1007, 990, 1001]
    tops, lows = [max(pair) + 2 for pair in zip(opens, close)], [min(pair) - 1 for pair in zip(opens, close)]
    before = [close[0], *close]
    residuals = {0: close, 1: [mantissa - last for mantissa, last in zip(opens, before)], 2: [2] * 5, 3: [1] * 5}
    members, values = [], []
    for number, (role, mantissas) in enumerate(((1, opens), (2, tops), (3, lows), (0, close))):
        low = min(residuals[role])
        bins = [(0, 3, low), (0, 5, low + 8)]
        coder = Lanes(8, bins, [[160, 96], [32, 224]], MEAN_3, 2, [0, 1], [state // 8 for state in range(16)])
        chosen = [(0, residual - low) if residual < low + 8 else (1, residual - low - 8) for residual in residuals[role]]
        content = coder.content()
        data = coder.coded(chosen, transform=2 if role else 0)
        members.append(Column(8 + number, F64, 5, u8(role) + scale(2, 1) + varint(len(content)), [data], FLAG, heap=content))
        values.append((F64, [decimal_bits(mantissa, 2, 1, F64) for mantissa in mantissas]))
    part = Part(1, [(number, F64) for number in range(4)], [chunk_of(members, 5)], ohlc=(0, 1, 2, 3))
    live = rows_of([T0 + row for row in range(5)], values)
    good("segment-lanes-group", "segment", "bars that predict one another, coded", "K13", segment([part], head=header(1, required=BITS)), **CONTEXT,
         expected={"parts": [{"series": 1, "live": live, "history": [], "marks": []}]})
    # Columns of the system
    coder = Lanes(8, [(0, 3, 1), (0, 2, 9)], [[160, 96], [32, 224]], PAIR, 2, [0, 1], [0, 1, 0, 1])
    content = coder.content()
    chosen = some(coder.bins, 9, (2, 1))
    numbers = binned(coder.bins, chosen)
    time = summed(T0, numbers)
    lead = [Column(0, I64, 3, varint(len(content)), [coder.coded(chosen, transform=1, first=T0)], FLAG, heap=content)]
    lead += [Column(code, I64, 3, varint(len(content)), [coder.coded(chosen)], FLAG, heap=content) for code in (1, 3, 4)]
    part = Part(1, [], [Chunk(time, lead)], (min(numbers), max(numbers)))
    good("segment-lanes-system", "segment", "times, versions, sources and flags, coded", "K19", segment([part], head=header(1, required=BITS)), **CONTEXT,
         expected={"parts": [{"series": 1, "live": [[at, number, number, number] for at, number in zip(time, numbers)], "history": [], "marks": []}]})


def wrong_models(broken_column, some):
    """K18, and the limits that the head of a chunk tells."""
    plain, remembering = simple(NO_MEMORY), simple(PAIR)
    chosen = some(SIMPLE, 20)

    def wrong(name, title, content, model=remembering, rule="K18", also=None, **other):
        broken_column(f"model-{name}", title, rule, also, **of(model, chosen, heap=content, **other))

    for log in (0, 5, 7, 13, 127):
        wrong(f"log-{log}", f"coders of 2^{log} states", plain.content(log=128 + log), plain)
    more = Lanes(7, SIMPLE, [[124, 1, 1, 1, 1]])
    wrong("log-7-whole", "frequencies that add up to 2^7", more.content(), plain)
    more = Lanes(13, SIMPLE, [[8188, 1, 1, 1, 1]])
    wrong("log-13-whole", "frequencies that add up to 2^13", more.content(), plain)
    wrong("none", "no bins", u8(128 + 8) + varint(0) + u8(0), plain)
    many = [(0, 0, number) for number in range(1025)]
    wrong("many", "1025 bins", Lanes(11, many, [[1] * 1024 + [1024]]).content(), plain)
    wrong("count", "more bins than there are bytes", plain.content(bins=1 << 60), plain)
    wrong("places", "a bin of 19 places", Lanes(8, [(19, 3, 0)], [[256]]).content(), plain)
    wrong("width", "a bin of 65 bits", Lanes(8, [(0, 65, 0)], [[256]]).content(), plain)
    for memory in (5, 255):
        wrong(f"memory-{memory}", f"memory {memory}", remembering.content(memory=memory))
    for count in (0, 1, 17):
        low = Lanes(8, SIMPLE, remembering.tables, PAIR, max(count, 1), [0] * 5, [0] * max(count, 1) ** 2)
        wrong(f"classes-{count}", f"{count} classes", low.content(classes=count))
    wrong("tables-0", "no tables", remembering.content(tables=0, frequencies=[b""]))
    for log, count in ((8, 129), (12, 9)):
        tables = [[(1 << log) - 4, 1, 1, 1, 1]] * count
        wrong(f"tables-{count}", f"{count} tables of 2^{log} states", Lanes(log, SIMPLE, tables, PAIR, 4, CLASSES, [0] * 16).content())
    wrong("class", "a bin of a class that there is not", remembering.content(of_bins=packed([0, 1, 2, 3, 4], 3)))
    wrong("class-negative", "a bin of a class below zero", remembering.content(of_bins=raw([0, 1, 2, 3, -1])))
    wrong("class-far", "a bin of class 2^32", remembering.content(of_bins=raw([0, 1, 2, 3, 1 << 32])))
    wrong("table", "a state of a table that there is not", remembering.content(of_states=packed([0, 1, 2, 3] * 4, 2)))
    wrong("table-negative", "a state of a table below zero", remembering.content(of_states=raw([0] * 15 + [-1])))
    wrong("table-far", "a state of table 256", remembering.content(of_states=raw([0] * 15 + [256])))
    wrong("sum-low", "frequencies below their sum", plain.content(frequencies=[packed([127, 64, 32, 24, 8], 7)]), plain)
    wrong("sum-high", "frequencies beyond their sum", plain.content(frequencies=[packed([129, 64, 32, 24, 8], 8)]), plain)
    wrong("sum-zero", "frequencies of zero", plain.content(frequencies=[constant(0)]), plain)
    wrong("negative", "a frequency below zero", plain.content(frequencies=[raw([129, 64, 32, 32, -1])]), plain)
    wrong("negative-last", "a frequency below zero, and one beyond 2^log", plain.content(frequencies=[raw([264, 0, 0, 0, -8])]), plain)
    wrong("sum-wraps", "frequencies whose sum wraps", plain.content(frequencies=[raw([(1 << 63) - 1, (1 << 63) - 1, 2, 255, 1])]), plain)
    last = [packed(table, 8) for table in remembering.tables[:2]]
    wrong("sum-last", "frequencies of the last table beyond their sum", remembering.content(frequencies=[*last, packed([50, 70, 76, 50, 11], 7)]))
    unused = simple(PAIR, of_states=[0, 1] * 8)
    wrong("sum-unused", "frequencies below their sum in a table that no state has", unused.content(frequencies=[*last, packed([50, 70, 76, 50, 9], 7)]), unused)
    # Its blocks
    of_one, block = plain.coded([(0, 0)] * 5), packed([50, 70, 76, 50, 10], 7)
    for name, title, lies in [
        ("coded", "coded frequencies", {"frequencies": [*last, of_one]}),
        ("classes-coded", "coded classes", {"of_bins": of_one}),
        ("states-coded", "coded numbers of tables", {"of_states": plain.coded([(0, 0)] * 16)}),
        ("group", "frequencies that are predicted", {"frequencies": [*last, packed([50, 70, 76, 50, 10], 7, transform=2)]}),
        ("classes-group", "classes that are predicted", {"of_bins": packed([0, 1, 2, 3, 3], 2, transform=2)}),
        ("states-group", "numbers of tables that are predicted", {"of_states": packed([0, 1, 2, 0] * 4, 2, transform=2)}),
        ("block-width", "frequencies of 65 bits", {"frequencies": [*last, head(1) + svarint(0) + u8(65) + bytes(41)]}),
        ("block-code", "classes with a code beyond their dictionary", {"of_bins": dictionary(raw([0, 1, 2]), 3, [0, 1, 2, 3, 0])}),
        ("block-runs", "numbers of tables in runs that are too long", {"of_states": runs(raw([0]), raw([16]), 1)}),
        ("block-bits", "left-over bits of classes", {"of_bins": packed([0, 1, 2, 3, 3], 2)[:-1] + b"\xff"}),
    ]:
        wrong(name, title, remembering.content(**lies))
    wrong("block-short", "frequencies cut short", plain.content()[:-1], plain)
    content = remembering.content()
    wrong("left-over", "a byte behind the tables", content + b"\0")
    wrong("left-over-plain", "a byte behind the table of a model without memory", plain.content() + b"\0", plain)
    wrong("table-missing", "a table is missing", remembering.content(frequencies=last))
    wrong("table-more", "a table too many", remembering.content(frequencies=[*last, block, block]))
    bins = len(u8(0) + varint(5)) + sum(2 + len(svarint(wrap(lower - last))) for (_, _, lower), (_, _, last) in zip(SIMPLE, [(0, 0, 0), *SIMPLE]))
    for name, title, length in [
        ("log", "the number of bins", 1), ("bins", "the bins", 2), ("bin", "the last bin, but for its places", bins - 2), ("memory", "the memory", bins),
        ("classes", "the number of classes", bins + 1), ("tables", "the number of tables", bins + 2), ("of-bins", "the classes of bins", bins + 3),
        ("of-states", "the tables of states", bins + 3 + len(packed(CLASSES, 2))), ("tables-all", "the tables", len(content) - sum(map(len, [*last, block]))),
    ]:
        wrong(f"short-{name}", f"a model that ends before {title}", content[:length])
    # Features and lengths
    wrong("no-feature", "a model in lanes in a file without feature bit 4", content, required=1)
    wrong("no-feature-others", "a model in lanes in a file with all other feature bits", content, required=11)
    head_tells = {"rule": "S20", "also": ["S16"]}
    wrong("no-coded", "a model in lanes in a file without feature bit 0", content, required=16, **head_tells)
    wrong("empty", "a model of no bytes", b"", **head_tells)
    model, long = longest(65537)
    broken_column("model-long", "a model of 65,537 bytes", "K18", ["S20", "S16"], **of(model, [(0, 0)] * 9, heap=long))
    broken_column("model-long-no-feature", "a model of 65,536 bytes in a file without feature bit 4", "K18", ["S20", "S16"],
                  **of(model, [(0, 0)] * 9, heap=longest()[1], required=1))
    broken_column("one-lane-long-no-feature", "a model of one lane with 15,364 bytes, in a file without feature bit 4", "K15", ["S20", "S16"],
                  **one_lane(longer_forms(15364), required=1))
    broken_column("one-lane-long", "a model of one lane with 15,364 bytes, in a file with feature bit 4", "K15", ["S20", "S16"],
                  **one_lane(longer_forms(15364)))
    for encoding, name, parameters, data in ((0, "null", b"", []), (1, "constant", svarint(0), []), (2, "raw", b"", [bytes(16)])):
        broken_column(f"model-{name}", f"a model of encoding {encoding}", "S20", ["S16"],
                      **of(plain, [], encoding=encoding, parameters=parameters, data=data, values=[0, 0]))
    broken_column("model-text", "a model of texts", "S20", ["S16"], **of(plain, [], STRING, 8, data=[constant(0)], values=["", ""]))


def wrong_blocks(broken_column, some):
    """K19."""
    def wrong(name, title, rule="K19", also=None, model=simple(PAIR), data=None, values=(0,) * 20, **other):
        broken_column(name, title, rule, also, **of(model, [], values=list(values), data=data, **other))

    model, chosen = simple(PAIR, 9), some(SIMPLE, 20)
    codes, offsets = model.pieces(chosen)
    whole = model.coded(chosen)
    first = list(ended([(offset, SIMPLE[number][1]) for number, offset in chosen])[:4])

    def beyond(lane, by=256):
        return [byte + by * (number == lane) for number, byte in enumerate(first)]

    for lane in range(4):
        wrong(f"end-{lane}", f"lane {lane} ends in a state that is no byte", model=model, data=[model.coded(chosen, beyond(lane))])
    large = simple(PAIR, 12)
    wrong("end-highest", "a lane that ends in the highest state", model=large, data=[large.coded(chosen, [4095, *first[1:]])])
    for count in (1, 2, 3, 5, 6, 9):
        few = [(1, 7)] * count
        assert 3 * -(-count // 4) >= count
        ends = [*(ended([(7, 3)] * count) + bytes(4))[:3], 256]
        wrong(f"idle-{count}", f"a lane that has none of {count} rows begins in a state that is no byte", model=model, values=[0] * count, data=[model.coded(few, ends)])
    wrong("end-second-block", "a lane of the second block ends in a state that is no byte", model=model, values=[0] * 1044,
          data=[model.coded([(0, 0)] * 1024), model.coded(chosen, beyond(2))])
    wrong("header", "no header", "K1", model=model, data=[b""])
    wrong("no-codes", "nothing behind the header", model=model, data=[whole[:1]])
    wrong("short-states", "states cut short", model=model, data=[whole[:3]])
    wrong("short-codes", "codes cut short", model=model, data=[whole[:len(codes)]])
    wrong("no-offsets", "no offsets", model=model, data=[whole[:1 + len(codes)]])
    wrong("short", "offsets cut short", model=model, data=[whole[:-1]])
    wrong("long", "a byte behind the offsets", model=model, data=[whole + b"\0"])
    wrong("long-word", "a byte between codes and offsets", model=model, data=[whole[:1 + len(codes)] + b"\0" + whole[1 + len(codes):]])
    wrong("short-first", "no first number", "K1", model=model, data=[model.coded(chosen, transform=1, first=100)[:1]])
    wrong("short-second", "no second number", "K1", required=BITS | 2, model=model, data=[model.coded(chosen, transform=3, first=5, second=6)[:2]])
    wrong("short-behind-second", "nothing behind the second number", required=BITS | 2, model=model, data=[model.coded(chosen, transform=3, first=5, second=6)[:3]])
    # Left-over bits: 36 bits of states, and offsets of which states tell all
    still = Lanes(9, [(0, 3, 0)], [[512]])
    one = still.coded([(0, 5)])
    for at in (36, 37, 38, 39):
        spoilt = bytearray(one)
        spoilt[1 + at // 8] |= 1 << at % 8
        wrong(f"codes-bit-{at}", f"bit {at} of codes that end at 36", model=still, values=[5], data=[bytes(spoilt)])
    for at in (3, 7, 8, 16, 31):
        ends = (5 | 1 << at).to_bytes(4, "little")
        wrong(f"states-bit-{at}", f"bit {at} of offsets that end at 3, told by a state", model=still, values=[5], data=[still.coded([(0, 5)], ends)])
    wrong("states-none", "states that tell bits of no offsets", values=[0] * 20, data=[simple(PAIR).coded([(0, 0)] * 20, (0, 0, 0, 128))])
    for width in (28, 31, 32):
        of_width = Lanes(9, [(0, width, 0)], [[512]])
        data = of_width.coded([(0, (1 << width) - 1)])
        wrong(f"more-{width}", f"a byte of offsets behind {width} bits that states tell", model=of_width, values=[0], data=[data + b"\0"])
    for at in (33, 39):
        of_width = Lanes(9, [(0, 33, 0)], [[512]])
        data = bytearray(of_width.coded([(0, 1)]))
        data[-1] |= 1 << at - 32
        wrong(f"offsets-bit-{at}", f"bit {at} of offsets that end at 33", model=of_width, values=[0], data=[bytes(data)])
    of_width = Lanes(9, [(0, 33, 0)], [[512]])
    wrong("less-33", "no byte behind the states for 33 bits of offsets", model=of_width, values=[0], data=[of_width.coded([(0, 1)])[:-1]])
    wrong("packing", "a coded block with a packing", "K1", model=model, data=[u8(whole[0] | 1) + whole[1:]])
    wrong("zigzag", "a coded block with zigzag", "K1", model=model, data=[u8(whole[0] | 32) + whole[1:]])
    wrong("multiplier", "a coded block with a multiplier", "K1", model=model, data=[u8(whole[0] | 64) + varint(2) + whole[1:]])
    wrong("group", "a coded prediction in a column that is not of the group", "K1", ["K19"], model=model, data=[model.coded(chosen, transform=2)])
    wrong("inner", "a coded block inside a block", "K1", values=[0] * 40, model=model, data=[runs(model.coded(chosen), constant(1), 20)])
    wrong("sparse-inner", "coded values of a sparse block", "K1", model=model, data=[sparse(0, model.coded(chosen[:3]), [True] * 3 + [False] * 17)])
    wrong("one-lane-block", "a block of one lane in a column with a model in lanes",
          data=[coded(5, [(0, 0, 0, 32)], [(0, 0)] * 20)])
    wrong("in-one-lane", "a block in lanes in a column with a model of one lane", "K16", model=None, values=[5], heap=longer_forms(15363), data=[one])
    wrong("bool", "a coded bool of 2", "S20", model=still, kind=BOOL, values=[0], data=[still.coded([(0, 2)])])
    residues = model.coded(chosen[:5])
    wrong("residues", "coded residues of factors", "K17", model=model, kind=F64, encoding=4, parameters=scale(2, 1), flags=FLAG | 64, required=BITS | 8, values=[0] * 5,
          data=[residues + varint(1) + u64(bits_of(1.5)) + residues])
