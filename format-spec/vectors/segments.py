"""Vectors of whole segments: every encoding, streams, marks, runs, zone maps, and what may be wrong with them."""

import struct

from encode import *  # noqa: F403

CONTEXT = {"store": STORE.hex(), "file": FILE}
T0 = 1704067200000000000
MINUTE = 60 * 10**9
I64, F64, F32, U8, BOOL, STRING, TIMESTAMP = range(1, 8)
SIZES = {I64: 8, F64: 8, F32: 4, U8: 1, BOOL: 1, TIMESTAMP: 8}


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def bits32_of(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]


def decimal_bits(mantissa, exponent, divisor, kind):
    value = float(wrap(mantissa * divisor)) / float(f"1e{exponent}")
    return bits_of(value) if kind == F64 else bits32_of(value)


def cell(kind, value):
    """A value as the expected rows state it: floats, given by their bits, in hexadecimal."""
    if value is None or kind not in (F64, F32):
        return value
    return f"{value & (MASK if kind == F64 else 0xFFFFFFFF):0{16 if kind == F64 else 8}x}"


def stored(kind, values):
    size = SIZES[kind]
    return b"".join((value & (1 << 8 * size) - 1).to_bytes(size, "little") for value in values)


def blocks(values):
    return [values[at:at + 1024] for at in range(0, len(values), 1024)]


def chunk_of(columns, count, stream=0, number=0, first_row=0, time=None, version=1, source=0, flags=0, until=9, **lies):
    """A chunk with all system columns as constants, and times of their own."""
    time = time or [T0 + row for row in range(count)]
    lead = [times(time), system(1, version)] + ([system(2, until)] if stream else []) + [system(3, source), system(4, flags)]
    return Chunk(time, lead + columns, stream, number, first_row, **lies)


def rows_of(time, columns, version=1, source=0, flags=0, until=None):
    """Expected rows; columns are (type, values)."""
    middle = [version, source, flags] if until is None else [version, until, source, flags]
    return [[at, *middle, *(cell(kind, values[row]) for kind, values in columns)] for row, at in enumerate(time)]


def one_column(kind, values, encoding, parameters=b"", data=(), flags=0, count=None, required=0, **other):
    """A segment with one part, one chunk and one column, and what it holds."""
    count = len(values)
    column = Column(8, kind, encoding, parameters, data, flags, **other)
    return segment([Part(1, [(0, kind)], [chunk_of([column], count)])], head=header(1, required=required)), {"parts": [
        {"series": 1, "live": rows_of([T0 + row for row in range(count)], [(kind, values)]), "history": [], "marks": []}]}


def segments(good, bad, Noise):
    def fine(name, title, rule, data, expected):
        good(f"segment-{name}", "segment", title, rule, data, **CONTEXT, expected=expected)

    def broken(name, title, rule, data, kind="corrupt", also=None):
        bad(f"segment-{name}", "segment", title, rule, data, kind, also, **CONTEXT)

    def fine_column(name, title, rule, *arguments, **other):
        fine(name, title, rule, *one_column(*arguments, **other))

    def broken_column(name, title, rule, *arguments, also=None, **other):
        broken(name, title, rule, one_column(*arguments, **other)[0], also=also)

    def broken_head(*arguments, **other):
        """What the head of a chunk alone tells: S16 may be named as well."""
        broken_column(*arguments, also=["S16"], **other)

    names = {I64: "i64", F64: "f64", F32: "f32", U8: "u8", BOOL: "bool", STRING: "string", TIMESTAMP: "timestamp"}
    samples = {
        I64: [5, -1, -1 << 63, (1 << 63) - 1, 0],
        F64: [0x7FF8000000000001, 0x8000000000000000, 0x3FB999999999999A, 0xFFF0000000000000, 1],
        F32: [0x7FC00001, 0x80000000, 0x3DCCCCCD, 0xFF800000, 1],
        U8: [0, 255, 7, 8, 9],
        BOOL: [0, 1, 1, 0, 1],
        STRING: ["", "ä", "comma, \"quote\"", "x" * 300, "x"],
        TIMESTAMP: [0, T0, -T0, 1, 2],
    }
    for kind, name in names.items():
        values = samples[kind]
        fine_column(f"null-{name}", f"a column of type {name} that is null in all rows", "S19", kind, [None] * 5, 0)
        parameters = {I64: svarint, TIMESTAMP: svarint, STRING: string}.get(kind, lambda value, kind=kind: stored(kind, [value]))
        fine_column(f"constant-{name}", f"a constant of type {name}", "S20", kind, [values[1]] * 5, 1, parameters(values[1]))
        if kind != STRING:
            fine_column(f"raw-{name}", f"raw values of type {name}", "S20", kind, values, 2, b"", [stored(kind, values)])
            numbers = [wrap(value) if kind == F64 else value for value in values]
            fine_column(f"integers-{name}", f"type {name} as integers", "K1", kind, values, 3, b"", [raw(numbers)])
            with_nulls = [None if row in (1, 4) else value for row, value in enumerate(values)]
            data = nulls([value is None for value in with_nulls]) + raw([wrap(value or 0) for value in with_nulls])
            fine_column(f"integers-nulls-{name}", f"type {name} as integers, with nulls", "K1", kind, with_nulls, 3, b"", [data], 1)
    fine_column("raw-two-blocks", "raw values in two blocks", "S20", I64, list(range(1030)), 2, b"",
                [stored(I64, block) for block in blocks(list(range(1030)))])
    three = [None] * 1024 + list(range(1024)) + [None, 5]
    data = [nulls([value is None for value in block]) for block in blocks(three)]
    data[1] += packed(list(range(1024)), 10)
    data[2] += packed([0, 5], 3)
    fine_column("nulls-blocks", "blocks that are null, not null and both", "K1", I64, three, 3, b"", data, 1)

    # Decimals
    mantissas = [9325, -9350, 0, 1, 1 << 50]
    for exponent in range(23):
        for kind in (F64, F32):
            values = [decimal_bits(m, exponent, 1 + exponent * 5, kind) for m in mantissas]
            fine_column(f"decimal-{names[kind]}-{exponent:02}", f"decimals of exponent {exponent}", "K10", kind, values, 4,
                        scale(exponent, 1 + exponent * 5), [raw(mantissas)])
    values = [decimal_bits((1 << 62) + 1, 2, (1 << 63) - 1, F64), decimal_bits(3, 2, (1 << 63) - 1, F64)]
    fine_column("decimal-wraps", "a product that wraps", "K10", F64, values, 4, scale(2, (1 << 63) - 1), [raw([(1 << 62) + 1, 3])])
    for kind, wanted in ((F64, [0x7FF8DEADBEEF0001, 0x8000000000000000, 0x3FD3333333333334]), (F32, [0x7FC01234, 0x80000000, 0x3E99999B])):
        plain = [decimal_bits(m, 2, 25, kind) for m in range(7)]
        values = list(plain)
        for position, value in zip((0, 3, 6), wanted):
            values[position] = value
        fixes = [wrap(values[p] - plain[p]) for p in (0, 3, 6)]
        fine_column(f"decimal-exceptions-{names[kind]}", "exceptions: a NaN, a negative zero, a residue", "K11", kind, values, 4,
                    scale(2, 25), [packed(list(range(7)), 3) + exceptions(7, [0, 3, 6], fixes)], 2)
        two = [None if row == 2 else value for row, value in enumerate(values)]
        fine_column(f"decimal-nulls-{names[kind]}", "exceptions and nulls", "K11", kind, two, 4, scale(2, 25),
                    [nulls([value is None for value in two]) + packed(list(range(7)), 3) + exceptions(7, [0, 3, 6], fixes)], 3)
    fine_column("decimal-no-exceptions", "no exception in a block that could have some", "K11", F64,
                [decimal_bits(m, 1, 1, F64) for m in range(3)], 4, scale(1, 1), [packed([0, 1, 2], 2) + exceptions(3, [], [])], 2)
    fine_column("decimal-all-exceptions", "only exceptions", "K11", F64, [1, 2], 4, scale(0, 1),
                [constant(0) + exceptions(2, [0, 1], [1, 2])], 2)
    fine_column("decimal-one-row", "an exception in a block of one row", "K11", F64, [77], 4, scale(0, 1), [constant(0) + exceptions(1, [0], [77])], 2)
    fine_column("decimal-wide-correction", "corrections of f32 beyond 32 bits: the low ones count", "K11", F32, [5], 4, scale(0, 1),
                [constant(0) + exceptions(1, [0], [(1 << 40) + 5])], 2)
    for name, title, parameters, data in [
        ("exponent", "an exponent of 23", scale(23, 1), constant(1)),
        ("divisor-0", "a divisor of 0", scale(2, 0), constant(1)),
        ("divisor-63", "a divisor of 2^63", scale(2, 1 << 63), constant(1)),
    ]:
        broken_head(f"decimal-{name}", title, "K10", F64, [0, 0], 4, parameters, [data])
    for name, title, data in [
        ("count", "more exceptions than rows", constant(1) + exceptions(2, [0, 1, 1], [1, 1, 1])),
        ("order", "positions that do not ascend", constant(1) + exceptions(2, [1, 0], [1, 1])),
        ("twice", "a position twice", constant(1) + exceptions(2, [1, 1], [1, 1])),
        ("cut", "a correction is missing", constant(1) + exceptions(2, [0, 1], [1])),
    ]:
        broken_column(f"exceptions-{name}", title, "K11", F64, [0, 0], 4, scale(0, 1), [data], 2)
    broken_column("exceptions-outside", "a position beyond the block", "K11", F64, [0, 0, 0], 4, scale(0, 1),
                  [constant(1) + exceptions(3, [3], [1])], 2)
    broken_column("decimal-left-over", "a byte behind the block", "K11", F64, [0, 0], 4, scale(0, 1), [constant(1) + exceptions(2, [], []) + b"\0"], 2)

    # Split floats: every cut
    for kind, total in ((F64, 64), (F32, 32)):
        for cut in range(1, total):
            noise = Noise(cut * total)
            values = [noise.width(total) for _ in range(9)]
            high = [wrap(value >> cut) for value in values]
            fine_column(f"split-{names[kind]}-{cut:02}", f"a cut of {cut}", "K12", kind, values, 6, u8(cut),
                        [raw(high) + pack([value & (1 << cut) - 1 for value in values], cut)])
        for cut in (0, total):
            broken_head(f"split-{names[kind]}-{cut:02}", f"a cut of {cut}", "K12", kind, [0, 0], 6, u8(cut), [constant(0) + bytes(2 * cut // 8)])
    nulled = [None, 0x3FF0000000000001, None]
    fine_column("split-nulls", "split floats with nulls", "K12", F64, nulled, 6, u8(12),
                [b"\1" + pack([1, 0, 1], 1) + raw([value >> 12 if value else 0 for value in nulled]) + pack([0, 1, 0], 12)], 1)
    broken_column("split-short", "low bits are missing", "K12", F64, [0, 0], 6, u8(16), [constant(0) + bytes(3)])
    broken_column("split-bits", "left-over bits are set", "K12", F64, [0, 0], 6, u8(3), [constant(0) + b"\xc0"])

    # Strings
    def heap(*texts):
        return b"".join(varint(len(text.encode())) + text.encode() for text in texts)

    def of_dictionary(texts, codes, null=(), parameters=None, data=None):
        content = heap(*texts)
        values = [None if row in null else texts[code] if code < len(texts) else None for row, code in enumerate(codes)]
        flag = nulls([row in null for row in range(len(codes))]) if null else b""
        width = bits(max([*codes, len(texts) - 1]))
        return dict(kind=STRING, values=values, encoding=7, parameters=parameters or varint(len(texts)) + varint(len(content)),
                    data=[data or flag + packed(codes, width)], flags=1 if null else 0, heap=content)

    fine_column("dictionary", "three texts", "K14", **of_dictionary(["sell", "", "käufer"], [0, 2, 1, 0, 2]))
    fine_column("dictionary-one", "one text", "K14", **of_dictionary(["only"], [0, 0], (1,)))
    fine_column("dictionary-nulls", "codes beyond the heap under nulls", "K14", **of_dictionary(["a", "b"], [0, 9, 1], (1,)))
    large = [chr(97 + row % 26) * (row + 50) for row in range(120)]
    fine_column("dictionary-pages", "a heap of several pages", "S6", **of_dictionary(large, list(range(120))))
    broken_column("dictionary-code", "a code beyond the heap", "K14", **of_dictionary(["a", "b", "c"], [0, 3, 1]))
    broken_column("dictionary-negative", "a negative code", "K14", **of_dictionary(["a", "b"], [0, 1], data=raw([0, -1])))
    broken_head("dictionary-none", "no text", "K14", STRING, ["", ""], 7, varint(0) + varint(0), [constant(0)], heap=b"")
    broken_head("dictionary-many", "more texts than rows", "K14", **of_dictionary(["a", "b", "c"], [0, 1]))
    broken_column("dictionary-left-over", "a byte behind the heap's last text", "K14", STRING, ["a", "a"], 7, varint(1) + varint(3), [constant(0)], heap=heap("a") + b"\0")
    broken_column("dictionary-utf8", "a text that is not UTF-8", "K14", STRING, ["a", "a"], 7, varint(1) + varint(2), [constant(0)], heap=b"\1\xff")
    texts = ["", "ä→", "x" * 4096, "z"]
    lengths = [len(text.encode()) for text in texts]
    fine_column("text", "texts one by one", "K12", STRING, texts, 8, b"", [raw(lengths) + "".join(texts).encode()])
    some = ["a", None, "bc"]
    fine_column("text-nulls", "texts with nulls", "K12", STRING, some, 8, b"", [nulls([False, True, False]) + raw([1, 0, 2]) + b"abc"], 1)
    many = ["t" * (4000 + row % 90) for row in range(20)]
    fine_column("text-long", "a block beyond 65535 bytes, in units of 8192", "S16", STRING, many, 8, b"",
                [raw([len(text) for text in many]) + "".join(many).encode()], long=True)
    for name, title, data in [
        ("length", "a text of 4097 bytes", raw([4097, 0]) + b"x" * 4097),
        ("negative", "a negative length", raw([-1, 3]) + b"ab"),
        ("short", "bytes are missing", raw([2, 3]) + b"abcd"),
        ("left-over", "a byte too many", raw([2, 3]) + b"abcdef"),
        ("utf8", "not UTF-8", raw([1, 1]) + b"\xc3\xa4"),
    ]:
        broken_column(f"text-{name}", title, "K12", STRING, ["", ""], 8, b"", [data])
    broken_column("text-null-length", "a length under a null", "K12", STRING, ["a", None], 8, b"", [b"\1\2" + raw([1, 1]) + b"ab"], 1)

    # Open, high, low and close
    def bars(count, scales=None, roles=(0, 1, 2, 3), transforms=(1, 0, 0, 0), drop=None, **other):
        close = [10000 + row * 3 % 7 for row in range(count)]
        residual = [row % 5 - 1 for row in range(count)]
        opens = [(close[row - 1] if row % 1024 else close[row]) + residual[row] for row in range(count)]
        tops = [max(o, c) + abs(r) for o, c, r in zip(opens, close, residual)]
        lows = [min(o, c) - r for o, c, r in zip(opens, close, residual)]
        numbers = {0: close, 1: opens, 2: tops, 3: lows}
        residuals = {1: residual, 2: [abs(r) for r in residual], 3: residual}
        columns = []
        for number, role in enumerate((1, 2, 3, 0)):
            if number == drop:
                continue
            data = []
            for block in range(0, count, 1024):
                rows = slice(block, block + 1024)
                if role == 0:
                    data.append(raw(numbers[0][rows], **other))
                else:
                    data.append(raw(residuals[role][rows], transform=2))
            parameters = u8(roles[role]) + (scales or {}).get(role, scale(2, 5))
            columns.append(Column(8 + number, F64, 5, parameters, data))
        kinds = [(number, F64) for number in range(4)]
        values = [(F64, [decimal_bits(m, 2, 5, F64) for m in numbers[role]]) for role in (1, 2, 3, 0)]
        part = Part(1, kinds, [chunk_of(columns, count)], ohlc=(0, 1, 2, 3))
        live = rows_of([T0 + row for row in range(count)], values)
        return segment([part]), {"parts": [{"series": 1, "live": live, "history": [], "marks": []}]}

    fine("group", "bars that predict one another", "K13", *bars(9))
    fine("group-blocks", "bars in two blocks: the first row of a block looks at its own close", "K13", *bars(1027))
    broken("group-missing", "no column for the high", "K13", bars(5, drop=1)[0])
    broken("group-scale", "another scale for the low", "K13", bars(5, {3: scale(2, 6)})[0])
    broken("group-role", "an unknown role", "S16", bars(5, roles=(0, 1, 2, 4))[0])
    broken("group-twice", "a role twice", "K13", bars(5, roles=(0, 1, 2, 2))[0])
    broken("group-close", "a prediction of close", "K13", bars(5, transform=2)[0])
    broken_column("group-elsewhere", "a prediction in a column that is not of the group", "K1", I64, [0, 0], 3, b"", [raw([1, 2], transform=2)])

    # Streams, marks, parts, times
    number = Column(8, I64, 3, b"", [raw([1, 2])])
    live = chunk_of([number], 2, version=7, source=65535, flags=255)
    old = chunk_of([Column(8, I64, 3, b"", [raw([3, 4, 5])])], 3, stream=1, version=3, until=8)
    marks = [(1, -5, 5, 2), (2, 0, 10, 4), (3, 1, 2, 4)]
    both = {"series": 1, "live": rows_of([T0, T0 + 1], [(I64, [1, 2])], 7, 65535, 255),
            "history": rows_of([T0, T0 + 1, T0 + 2], [(I64, [3, 4, 5])], 3, until=8), "marks": [list(mark) for mark in marks]}
    fine("streams", "live and history rows, every mark", "S9", segment([Part(1, [(0, I64)], [live, old], (2, 8), marks)]), {"parts": [both]})
    only = {"series": 4, "live": [], "history": [], "marks": [[1, 0, 1, 6]]}
    fine("marks-only", "a part without rows", "S9", segment([Part(4, [], [], (6, 6), [(1, 0, 1, 6)])]), {"parts": [only]})
    fine("parts", "two parts", "S8", segment([Part(1, [(0, I64)], [live, old], (2, 8), marks), Part(4, [], [], (6, 6), [(1, 0, 1, 6)])]), {"parts": [both, only]})
    fine("no-parts", "no part", "S3", segment([]), {"parts": []})
    second = chunk_of([], 2, number=1, first_row=2, time=[T0 + 1, T0 + 5])
    first = chunk_of([number], 2)
    fine("chunks", "two chunks; the second lacks a column", "S10", segment([Part(1, [(0, I64)], [first, second])]), {"parts": [
        {"series": 1, "live": rows_of([T0, T0 + 1, T0 + 1, T0 + 5], [(I64, [1, 2, None, None])]), "history": [], "marks": []}]})
    runs_of_system = Chunk([T0, T0, T0], [times([T0] * 3), Column(1, 1, 3, b"", [runs(raw([4, -1]), raw([1, 0]), 2)]),
                                          Column(3, 1, 3, b"", [raw([0, 65535, 3])]), Column(4, 1, 3, b"", [raw([1, 2, 3])])])
    fine("system", "system columns with values of their own; a version by its bits", "S19", segment([Part(1, [], [runs_of_system], (4, MASK))]),
         {"parts": [{"series": 1, "live": [[T0, 4, 0, 1], [T0, 4, 65535, 2], [T0, MASK, 3, 3]], "history": [], "marks": []}]})
    two = [Column(code, I64, 3, b"", [raw(values)]) for code, values in ((8, [4, -1, 6]), (9, [7, 8, -9]))]
    when = [T0, T0 + 5, T0 + 6]
    any_order = Chunk(when, [two[1], system(4, 2), two[0], system(1, 1), times(when), system(3, 3)])
    fine("entries-order", "entries in no order: a column first, times among the last", "S16", segment([Part(1, [(0, I64), (1, I64)], [any_order])]),
         {"parts": [{"series": 1, "live": rows_of(when, [(I64, [4, -1, 6]), (I64, [7, 8, -9])], source=3, flags=2), "history": [], "marks": []}]})
    ends = [-9 * 10**18, 9 * 10**18]
    fine("times", "the least and the greatest time", "S11", segment([Part(1, [], [chunk_of([], 2, time=ends)])]),
         {"parts": [{"series": 1, "live": rows_of(ends, []), "history": [], "marks": []}]})

    # Runs and the grid
    def grid(timeframe, slots, begin, grid_rows=None, timed=False, covered=None, bits=1, runs_of=None, **lies):
        time = [begin(slot) for slot in slots]
        grid_rows = len(slots) if grid_rows is None else grid_rows
        found = []
        for slot in sorted(set(slots)):
            if found and found[-1][1] == slot:
                found[-1][1] += 1
            else:
                found.append([slot, slot + 1])
        gaps = [0] + [b[0] - a[1] for a, b in zip(found, found[1:])]
        block = runs_of or raw(gaps) + raw([end - start for start, end in found])
        covered = len(set(slots)) if covered is None else covered
        columns = [system(1, 1), system(3, 0), system(4, 0)]
        chunk = Chunk(lies.pop("time", time), ([times(time)] if timed else []) + columns)
        part = Part(1, [], [chunk], bits=bits, timeframe=timeframe, grid_rows=grid_rows, run_blocks=[(found[0][0], block, len(found), covered)], **lies)
        return segment([part]), {"parts": [{"series": 1, "live": rows_of(time, []), "history": [], "marks": []}]}

    seconds = {1: 1, 2: 60, 3: 120, 4: 180, 5: 300, 6: 600, 7: 900, 8: 1800, 9: 3600, 10: 7200, 11: 14400, 12: 21600, 13: 28800, 14: 43200, 15: 86400}
    some = [-3, -2, 0, 1, 2, 7]
    for number, step in seconds.items():
        fine(f"grid-{number:02}", f"bars on the grid of timeframe {number}", "S15", *grid(number, some, lambda slot, step=step: slot * step * 10**9))
    week = lambda slot: slot * 604800 * 10**9 - 259200 * 10**9  # noqa: E731
    fine("grid-16", "weeks", "S15", *grid(16, some, week))
    months = {-3: -92, -2: -61, 0: 0, 1: 31, 2: 59, 7: 212, 649: 19754}
    fine("grid-17", "months", "S15", *grid(17, [*some, 649], lambda slot: months[slot] * 86400 * 10**9))
    minute = lambda slot: slot * MINUTE  # noqa: E731
    fine("off-grid", "bars off the grid: times are stored, runs say what is covered", "S15",
         *grid(2, [0, 1, 3], lambda slot: slot * MINUTE + 5, grid_rows=0, timed=True))
    broken("runs-gap", "a gap of no slots", "S14", grid(2, [0, 2], minute, runs_of=raw([0, 0]) + raw([1, 1]))[0])
    broken("runs-first-gap", "a first gap that is not 0", "S14", grid(2, [0, 2], minute, runs_of=raw([1, 1]) + raw([1, 1]))[0])
    broken("runs-length", "a run of no slots", "S14", grid(2, [0, 2], minute, runs_of=raw([0, 1]) + raw([2, 0]))[0])
    broken("runs-covered", "slots that do not add up", "S14", grid(2, [0, 2], minute, covered=3)[0])
    broken("runs-left-over", "a byte behind the runs", "S14", grid(2, [0, 2], minute, runs_of=raw([0, 1]) + raw([1, 1]) + b"\0")[0])
    broken("runs-overflow", "runs beyond all slots", "S14", grid(2, [0, 2], minute, runs_of=raw([0, (1 << 63) - 1]) + raw([1, 1]))[0])
    broken("runs-group", "a prediction among runs", "S14", grid(2, [0, 2], minute, runs_of=raw([0, 1], transform=2) + raw([1, 1]))[0])
    broken("grid-not-unique", "grid rows where times repeat", "S9", grid(2, [0, 2], minute, bits=0)[0])
    broken("grid-rows", "grid rows that are no end of a chunk", "S9", grid(2, [0, 1, 3], minute, grid_rows=2)[0])
    broken("grid-timed", "stored times on the grid", "S16", grid(2, [0, 1, 3], minute, timed=True)[0])
    broken("timeframe-0", "an unknown timeframe", "S9", segment([Part(1, [], [chunk_of([], 1)], timeframe=18)]))
    broken("runs-without-timeframe", "runs without a timeframe", "S9",
           segment([Part(1, [], [chunk_of([], 1)], run_blocks=[(0, raw([0]) + raw([1]), 1, 1)])]))

    # Zone maps
    count = 130
    numbers = [row * 3 - 100 for row in range(count)]
    total = 0.0
    for value in numbers:
        total += float(value)
    zones = constant(min(numbers)) + constant(max(numbers) - min(numbers)) + struct.pack("<d", total)
    fine_column("zones-i64", "zone maps of integers", "S25", I64, numbers, 3, b"", [raw(numbers)], zones=zones)
    fine_column("zones-raw", "zone maps of raw integers", "S25", I64, numbers, 2, b"", [stored(I64, numbers)], zones=zones)
    two = [None if row % 10 == 0 else row for row in range(count)]
    total = float(sum(value for value in two if value is not None))
    zones_nulls = constant(1) + constant(128) + struct.pack("<d", total) + constant(13)
    data = nulls([value is None for value in two]) + raw([value or 0 for value in two])
    fine_column("zones-nulls", "zone maps with nulls", "S25", I64, two, 3, b"", [data], 1, zones=zones_nulls)
    cents = list(range(100, 100 + count))
    values = [decimal_bits(m, 2, 1, F64) for m in cents]
    total = 0.0
    for m in cents:
        total += m / 100
    none = exceptions(1, [], [])
    zones_decimal = constant(100) + constant(count - 1) + none + none + struct.pack("<d", total)
    fine_column("zones-decimal", "zone maps of decimals", "S25", F64, values, 4, scale(2, 1), [raw(cents)], zones=zones_decimal)
    broken_column("zones-min", "a least value that is wrong", "S25", I64, numbers, 3, b"", [raw(numbers)],
                  zones=constant(min(numbers) - 1) + constant(max(numbers) - min(numbers) + 1) + zones[-8:])
    broken_column("zones-sum", "a sum that is wrong", "S25", I64, numbers, 3, b"", [raw(numbers)], zones=zones[:-1] + b"\0")
    broken_column("zones-left-over", "a byte behind the zone maps", "S24", I64, numbers, 3, b"", [raw(numbers)], zones=zones + b"\0")
    broken_column("zones-short", "zone maps cut short", "S24", I64, numbers, 3, b"", [raw(numbers)], zones=zones[:-1])
    broken_column("zones-nulls", "more nulls than rows", "S24", I64, two, 3, b"", [data], 1, zones=zones_nulls[:-len(constant(13))] + constant(131))

    # Structure
    whole = segment([Part(1, [(0, I64)], [live, old], (2, 8), marks)])

    def patched_at(at, value, base=whole):
        return base[:at] + bytes([base[at] ^ value]) + base[at + 1:]

    broken("cut", "the last byte is missing", "S3", whole[:-1])
    broken("long", "a byte too many", "S3", whole + b"\0")
    broken("header-only", "a header and nothing else", "S3", header(1))
    broken("extra", "numbers in the header", "S1", segment([], head=header(1, extra=b"\1" + bytes(15))))
    broken("footer-checksum", "the checksum of the footer", "S5", segment([], footer_flip=1), also=["S3"])
    broken("footer-magic", "another magic in the footer", "S3", segment([], footer=b"TAPE-ENE"))
    broken("footer-length", "another length in the footer", "S3", segment([], length=64))
    broken("entry-checksum", "the checksum of an entry of the table", "S5", segment([Part(1, [], [chunk_of([], 1)])], entry_flip=1))
    broken("entry-zero", "an entry of the table with a number that must be zero", "S8", segment([Part(1, [], [chunk_of([], 1)])], zero=1))
    broken("padding", "padding that is not zero", "S2", segment([Part(1, [], [chunk_of([], 1)])], padding=1))
    broken("order", "series that do not ascend", "S8", segment([Part(2, [], [chunk_of([], 1)]), Part(1, [], [chunk_of([], 1)])]))
    broken("head-bit", "a flipped bit in the head of a chunk", "S5", patched_at(80, 1))
    broken("block-bit", "a flipped bit in a block", "S5", patched_at(whole.index(stored(I64, [1, 2])), 1))
    index = whole.index(b"TIDX")
    broken("index-bit", "a flipped bit in an index", "S5", patched_at(index + 12, 1))
    broken("index-magic", "another magic of an index", "S7", segment([Part(1, [], [chunk_of([], 1)], magic=b"TIDY")]))
    broken("chunk-magic", "another magic of a chunk", "S7", segment([Part(1, [], [chunk_of([], 1, magic=b"TCHL")])]))
    broken("index-bits", "an unknown bit of an index", "S9", segment([Part(1, [], [chunk_of([], 1)], bits=8)]))
    broken("index-left-over", "a byte behind an index", "S9", segment([Part(1, [], [chunk_of([], 1)], extra=b"\0")]))
    broken("index-twice", "a column twice", "S9", segment([Part(1, [(0, I64), (0, I64)], [chunk_of([], 1)])]))
    broken("index-type", "an unknown type", "S9", segment([Part(1, [(0, 8)], [chunk_of([], 1)])]))
    broken("index-mark", "an unknown mark", "S9", segment([Part(1, [], [], marks=[(4, 0, 1, 1)])]))
    broken("index-versions", "versions that are not exact", "S9", segment([Part(1, [], [chunk_of([], 1)], (1, 2))]))
    broken("index-span", "a last time that is not the chunk's", "S16", segment([Part(1, [], [chunk_of([], 2)], span=1)]))
    broken("head-left-over", "a byte behind the entries of a chunk", "S16", segment([Part(1, [], [chunk_of([], 1, extra=b"\0")])]))
    broken("head-rows", "another number of rows", "S16", segment([Part(1, [], [chunk_of([], 2, rows=3)])]))
    unknown = Column(8 + 5, I64, 1, svarint(1))
    broken("head-unknown", "a column that the index does not have", "S16", segment([Part(1, [(0, I64)], [chunk_of([unknown], 1)])]))
    twice = Column(8, I64, 1, svarint(1))
    broken("head-twice", "a column twice", "S16", segment([Part(1, [(0, I64)], [chunk_of([twice, twice], 1)])]))
    missing = Chunk([T0], [times([T0]), system(3, 0), system(4, 0)])
    broken("no-version", "no versions", "S19", segment([Part(1, [], [missing])]))
    untimed = Chunk([T0], [system(1, 1), system(3, 0), system(4, 0)])
    broken("no-time", "no times", "S16", segment([Part(1, [], [untimed])]))
    broken("source", "a source beyond 16 bits", "S19", segment([Part(1, [], [chunk_of([], 1, source=65536)])]))
    broken("flags", "negative flags", "S19", segment([Part(1, [], [chunk_of([], 1, flags=-1)])]))
    broken("time-order", "times that descend", "S11", segment([Part(1, [], [chunk_of([], 3, time=[T0, T0 - 1, T0 + 1])])]))
    broken("time-twice", "a time twice where each has one row", "S11", segment([Part(1, [], [chunk_of([], 2, time=[T0, T0])], bits=1)]))
    broken("time-limit", "a time beyond the limits", "S11", segment([Part(1, [], [chunk_of([], 1, time=[9 * 10**18 + 1])])]))
    broken_column("encoding-9", "an unknown encoding", "S16", I64, [0, 0], 9, b"", [constant(0)])
    broken_head("flag-32", "an unknown flag", "S20", I64, [0, 0], 3, b"", [constant(0)], 32)
    broken_head("decimal-i64", "decimals of integers", "S20", I64, [0, 0], 4, scale(0, 1), [constant(0)])
    broken_head("text-i64", "integers as texts", "S20", I64, [0, 0], 8, b"", [constant(0)])
    broken_head("integers-string", "texts as integers", "S20", STRING, ["", ""], 3, b"", [constant(0)])
    broken_head("raw-nulls", "raw values with nulls", "S20", I64, [0, 0], 2, b"", [bytes(16)], 1)
    broken_column("bool-2", "a bool of 2", "S20", BOOL, [0, 0], 3, b"", [raw([0, 2])])
    broken_column("bool-raw", "a raw bool of 2", "S20", BOOL, [0, 0], 2, b"", [b"\0\2"])
    broken_column("bool-constant", "a constant bool of 2", "S20", BOOL, [2, 2], 1, b"\2")
    broken_column("u8-256", "a u8 of 256", "S20", U8, [0, 0], 3, b"", [raw([0, 256])])
    broken_column("nulls-3", "a nulls byte of 3", "K1", I64, [0, 0], 3, b"", [b"\3" + constant(0)], 1)
    broken_column("nulls-bits", "a null behind the rows", "K1", I64, [0, 0], 3, b"", [b"\1\6" + constant(0)], 1)
    broken_column("block-left-over", "a byte behind a block", "K1", I64, [0, 0], 3, b"", [constant(0) + b"\0"])

    # Bits of the entry and encodings that do not go with them
    broken_head("flag-exceptions", "exceptions of integers", "S20", I64, [0, 0], 3, b"", [constant(0)], 2)
    broken_head("flag-zones", "zone maps of a column that is null", "S20", I64, [None] * 2, 0, zones=b"")
    broken_head("flag-zones-text", "zone maps of texts", "S20", STRING, ["", ""], 8, b"", [constant(0)], zones=b"")
    broken_head("flag-long", "long lengths of raw values", "S20", I64, [0, 0], 2, b"", [bytes(16)], 8)
    broken_head("flag-nans", "NaNs of integers", "S20", I64, [0, 0], 3, b"", [constant(0)], 16)
    broken_head("flag-nulls-constant", "nulls of a constant", "S20", I64, [0, 0], 1, svarint(0), (), 1)
    broken_head("flag-nulls-group", "a prediction with nulls", "S20", F64, [0, 0], 5, u8(0) + scale(0, 1), [nulls([0, 0]) + constant(0)], 1)
    broken("system-null", "versions that are null", "S20", segment([Part(1, [], [Chunk([T0], [times([T0]), Column(1, I64, 0), system(3, 0), system(4, 0)])])]),
           also=["S16", "S19"])

    # Where things stand
    one = chunk_of([], 2)
    broken("past-end", "an index whose pages reach past the end of the file", "S4", segment([Part(1, [], [one], length=100_000)]))
    broken("pages", "a heap in pages of 4000 bytes", "S6", one_column(**of_dictionary(large, list(range(120))), page=4000)[0], also=["S5"])
    two = [chunk_of([], 2), chunk_of([], 2, number=1, first_row=2, time=[T0 + 1, T0 + 5], place=0)]
    broken("place-twice", "two chunks at one place", "S10", segment([Part(1, [], two)]))
    broken("place-behind", "a chunk behind the index", "S10", segment([Part(1, [], [chunk_of([], 2, place=100)])]))
    later = [chunk_of([], 2), chunk_of([], 2, number=1, first_row=2, time=[T0, T0 + 5])]
    broken("chunks-order", "a chunk that begins before the end of the one before", "S11", segment([Part(1, [], later)]))
    broken("grid-first", "a row on the grid that does not open at the start of its slot", "S15",
           segment([Part(1, [], [Chunk([5 * MINUTE, 6 * MINUTE], [system(1, 1), system(3, 0), system(4, 0)], first=7)], bits=1, timeframe=2, grid_rows=2,
                         run_blocks=[(5, raw([0]) + raw([2]), 1, 2)])]), also=["S11"])
    broken("chunk-long", "a chunk that reaches past the index", "S17",
           segment([Part(1, [(0, I64)], [chunk_of([Column(8, I64, 3, b"", [raw([1, 2])], lie=500)], 2)])]))
    broken("entries", "4102 entries in a chunk", "S18", segment([Part(1, [], [chunk_of([], 1, entries=4102)])]), "limit")
    many = [(number, I64) for number in range(4095)] + [(65535, I64)]
    fine("entries-4100", "a chunk of 4100 entries: all columns that a part can have", "S18",
         segment([Part(1, many, [chunk_of([Column(8 + number, I64, 0) for number, _ in many], 1)])]),
         {"parts": [{"series": 1, "live": rows_of([T0], [(I64, [None])] * 4096), "history": [], "marks": []}]})
    broken("columns-4097", "4097 columns in a part", "S9", segment([Part(1, [(number, I64) for number in range(4097)], [one])]), "limit")
    broken("table-alignment", "a table of parts that is not aligned", "S3", segment([Part(1, [], [one])], hole=32))
    broken("hole", "64 bytes that belong to nothing", "S2", segment([Part(1, [], [one])], hole=64))
    broken("part-alignment", "a part that is not aligned", "S8", segment([Part(1, [], [one], start=8)]))
    broken("part-in-header", "a part in the header", "S8", segment([Part(1, [], [one], start=-64)]))
    broken("part-behind-index", "a part behind its index", "S8", segment([Part(1, [], [one], start=6400)]))
    broken("mark-limit", "a mark beyond the limits of times", "S9", segment([Part(1, [], [], (6, 6), [(1, 0, 9 * 10**18 + 2, 6)])]))
    broken("mark-empty", "an empty mark", "S9", segment([Part(1, [], [], (6, 6), [(1, 5, 5, 6)])]))
    broken("ohlc", "a close that is no column", "S9", segment([Part(1, [(0, F64), (1, F64), (2, F64)], [one], ohlc=(0, 1, 2, 3))]))
    slots = [0, 3, 6]
    blocks_of = [(0, raw([0, 5]) + raw([1, 1]), 2, 2), (3, raw([0]) + raw([1]), 1, 1)]
    apart = Chunk([slot * MINUTE + 5 for slot in slots], [times([slot * MINUTE + 5 for slot in slots]), system(1, 1), system(3, 0), system(4, 0)])
    broken("runs-overlap", "a block of runs that begins before the end of the one before", "S14", segment([Part(1, [], [apart], bits=1, timeframe=2, run_blocks=blocks_of)]))
    good_blocks = [(0, raw([0, 2]) + raw([1, 1]), 2, 2), (6, raw([0]) + raw([1]), 1, 1)]
    fine("runs-blocks", "two blocks of runs", "S14", segment([Part(1, [], [apart], bits=1, timeframe=2, run_blocks=good_blocks)]),
         {"parts": [{"series": 1, "live": rows_of([slot * MINUTE + 5 for slot in slots], []), "history": [], "marks": []}]})
    broken("until-live", "an until of a live row", "S19", segment([Part(1, [], [Chunk([T0], [times([T0]), system(1, 1), system(2, 3), system(3, 0), system(4, 0)])])]),
           also=["S16"])
    broken("no-until", "history without until", "S19",
           segment([Part(1, [], [Chunk([T0], [times([T0]), system(1, 1), system(3, 0), system(4, 0)], stream=1)])]))

    coded_columns(fine, broken, fine_column, broken_column, broken_head, bars, Noise)


def coded_columns(fine, broken, fine_column, broken_column, broken_head, bars, Noise):
    """codecs.md, Coded blocks: required feature bit 0, flag 32."""
    simple = [(0, 0, 0, 16), (0, 3, 1, 8), (1, 2, -2, 4), (0, 64, -(1 << 63), 3), (18, 4, -9, 1)]
    noise = Noise(77)

    def some(bins, count, weights=(9, 6, 3, 1, 1)):
        weighted = [number for number, weight in enumerate(weights[:len(bins)]) for _ in range(weight)]
        return [(number, noise.word() & (1 << bins[number][1]) - 1) for number in (weighted[noise.word() % len(weighted)] for _ in range(count))]

    def of(log, bins, chosen, kind=I64, encoding=3, parameters=b"", values=None, data=None, flags=32, required=1, heap=None, **form):
        heap = model(log, bins) if heap is None else heap
        data = [coded(log, bins, chosen[at:at + 1024], **form) for at in range(0, len(chosen), 1024)] if data is None else data
        return {"kind": kind, "values": binned(bins, chosen) if values is None else values, "encoding": encoding, "required": required,
                "parameters": parameters + varint(len(heap)), "data": data, "flags": flags, "heap": heap}

    for count in (1, 2, 7, 1000, 1024, 2500):
        fine_column(f"coded-{count}", f"{count} coded integers, bins with places and of 64 bits", "K16", **of(5, simple, some(simple, count)))
    one = [(2, 0, -7, 1 << 14)]
    fine_column("coded-one-bin", "one bin of one value: no words, no offsets", "K15", **of(14, one, [(0, 0)] * 9))
    for log in range(5, 15):
        bins = [(0, 5, 0, (1 << log) - 3), (0, 63, 1, 1), (3, 33, -1 << 32, 2)]
        fine_column(f"coded-log-{log}", f"frequencies that add up to 2^{log}", "K15", **of(log, bins, some(bins, 300, (5, 1, 1))))
    widths = [(0, width, width - 32, 200) for width in range(65)] + [(0, 0, 0, (1 << 14) - 65 * 200)]
    fine_column("coded-widths", "offsets of every width", "K16", **of(14, widths, [(n % 66, (noise.word() << 32 ^ noise.word()) & (1 << widths[n % 66][1]) - 1) for n in range(660)]))
    most = [(0, 0, number * 3, 16) for number in range(1024)]
    fine_column("coded-1024-bins", "as many bins as there may be", "K15", **of(14, most, [(n * 7 % 1024, 0) for n in range(1024)]))
    steps = some(simple[:3], 40)
    fine_column("coded-delta", "coded differences", "K16", **of(5, simple, steps, values=summed(100, binned(simple, steps)), data=[coded(5, simple, steps, transform=1, first=100)]))
    fine_column("coded-and-packed", "a block that is not coded, in a column with a model", "K16", **of(5, simple, some(simple, 5), values=[4, 5, 6, 4, 5], data=[packed([0, 1, 2, 0, 1], 2, base=4)]))
    ones = [(0, 4, 9300, 30), (1, 3, 950, 2)]
    chosen = [(0, 1), (1, 3), (0, 15), (0, 0), (1, 7)]
    mantissas = binned(ones, chosen)
    fine_column("coded-decimal", "coded mantissas", "K16", **of(5, ones, chosen, F64, 4, scale(2, 1), [decimal_bits(m, 2, 1, F64) for m in mantissas]))
    fine_column("coded-decimal-nulls", "nulls and exceptions around a coded block", "K16",
                **of(5, ones, chosen, F64, 4, scale(2, 1), [decimal_bits(mantissas[0], 2, 1, F64) + 3, None] + [decimal_bits(m, 2, 1, F64) for m in mantissas[2:]],
                     [nulls([0, 1, 0, 0, 0]) + coded(5, ones, chosen) + exceptions(5, [0], [3])], 32 | 3))
    fine_column("coded-split", "coded high bits", "K16", **of(5, ones, chosen, F64, 6, u8(50), [m << 50 | 5 for m in mantissas], [coded(5, ones, chosen) + pack([5] * 5, 50)]))

    def wrong(name, title, rule="K16", **other):
        broken_column(f"coded-{name}", title, rule, **{**of(5, simple, some(simple, 20)), **other})

    def wrong_model(name, title, heap, **other):
        block = of(5, simple, some(simple, 20), heap=heap)
        broken_column(f"model-{name}", title, "K15", **{**block, **other})

    twenty = some(simple, 20)
    good_block = coded(5, simple, twenty)
    wrong("state", "a final state that is not 2^16", data=[coded(5, simple, twenty, begin=(1 << 16) + 1)])
    wrong("small-state", "a stored state below 2^16", data=[head(0, reserved=1) + varint(0) + u32(0xFFFF)])
    wrong("words", "more words than numbers", data=[head(0, reserved=1) + varint(21) + u32(1 << 16) + bytes(42)])
    wrong("words-left", "a word that is not taken", data=[good_block[:1] + varint(good_block[1] + 1) + good_block[2:6] + good_block[6:6 + 2 * good_block[1]] + u16(1) + good_block[6 + 2 * good_block[1]:]])
    wrong("short", "offsets cut short", data=[good_block[:-1]])
    wrong("long", "a byte behind the offsets", data=[good_block + b"\0"])
    wrong("bits", "left-over bits that are not zero", **of(5, [(0, 3, 0, 32)], [(0, 1)], data=[coded(5, [(0, 3, 0, 32)], [(0, 1)])[:-1] + b"\xf1"]))
    wrong("packing", "a coded block with a packing", "K1", data=[u8(good_block[0] | 1) + good_block[1:]])
    wrong("zigzag", "a coded block with zigzag", "K1", data=[u8(good_block[0] | 32) + good_block[1:]])
    wrong("no-model", "a coded block in a column without a model", "K1", parameters=b"", flags=0, heap=None, data=[good_block])
    broken_head("coded-no-feature", "a model in a file without the feature bit", "S20", **of(5, simple, twenty, required=0))
    broken_head("coded-empty-model", "a model of no bytes", "S20", **of(5, simple, twenty, heap=b""))
    broken_head("coded-long-model", "a model of 15,364 bytes", "S20", **of(5, simple, twenty, heap=bytes(15364)))
    broken_head("coded-dictionary", "a model of a dictionary", "S20", STRING, ["a", "a"], 7, varint(1) + varint(2), [constant(0)], 32, heap=b"\1a", required=1)
    broken_head("coded-raw", "a model of raw values", "S20", I64, [0, 0], 2, b"", [bytes(16)], 32, required=1)
    wrong_model("log-4", "frequencies that add up to 2^4", model(4, [(0, 3, 0, 16)]))
    wrong_model("log-15", "frequencies that add up to 2^15", model(15, [(0, 3, 0, 1 << 15)]))
    wrong_model("none", "no bins", model(5, []))
    wrong_model("many", "1025 bins", model(14, most, 1025) + u8(0) * 2 + svarint(3) + varint(0))
    wrong_model("places", "a bin of 19 places", model(5, [(19, 3, 0, 32)]))
    wrong_model("width", "a bin of 65 bits", model(5, [(0, 65, 0, 32)]))
    wrong_model("sum-low", "frequencies below their sum", model(5, [(0, 3, 0, 31)]))
    wrong_model("sum-high", "frequencies beyond their sum", model(5, [(0, 3, 0, 31), (0, 3, 9, 2)]))
    wrong_model("left-over", "a byte behind the bins", model(5, simple) + b"\0")
    wrong_model("short", "a bin is missing", model(5, simple, 6))
