"""Segments: segment.md. Rules S1 to S25, K13, K14, and the places of K20."""

import struct

from . import codecs
from .basics import (BLOCK_ROWS, CHECKED_BYTES, CHUNK_ROWS, CODED, DIGITAL, FACTORED, HEAP_BYTES, LANES, LANES_BYTES, MASK, MODEL_BYTES, PART_COLUMNS, PART_ROWS, SEGMENT, SINGLED, STRING_BYTES,
                     TIME_MAX, TIME_MIN, Cursor, wrap)
from .grid import Grid

TIME, VERSION, UNTIL, SOURCE, FLAGS, FIRST_COLUMN = 0, 1, 2, 3, 4, 8
I64, F64, F32, U8, BOOL, STRING, TIMESTAMP = 1, 2, 3, 4, 5, 6, 7
NULL, CONSTANT, RAW, INTEGERS, DECIMAL, GROUP, SPLIT, DICTIONARY, TEXT = range(9)
NULLS, EXCEPTIONS, ZONES, LONG, NANS, MODEL, FACTORS, DIGITS = 1, 2, 4, 8, 16, 32, 64, 128
SINGLES = FACTORS | DIGITS  # both: adjusted singles, which have no places
SIZES = {I64: 8, F64: 8, F32: 4, U8: 1, BOOL: 1, TIMESTAMP: 8}
FORMS = {I64: "q", F64: "q", F32: "I", U8: "B", BOOL: "B", TIMESTAMP: "q"}
NUMBERS = set(SIZES)
FITS = {NULL: NUMBERS | {STRING}, CONSTANT: NUMBERS | {STRING}, RAW: NUMBERS, INTEGERS: NUMBERS, DECIMAL: {F64, F32}, GROUP: {F64},
        SPLIT: {F64, F32}, DICTIONARY: {STRING}, TEXT: {STRING}}
LIMITS = {F32: 0xFFFFFFFF, U8: 255, BOOL: 1}
SYSTEM_LIMITS = {SOURCE: 0xFFFF, FLAGS: 0xFFFF}
MODELLED = {CODED: {INTEGERS, DECIMAL, GROUP, SPLIT}, CODED | LANES: {INTEGERS, DECIMAL, GROUP, SPLIT, DICTIONARY}}


class Segment:
    """A segment, opened at its footer. `data` is bytes or a map of the file."""

    def __init__(self, file):
        self.file = file
        data, size = file.data, len(file.data)
        file.header(SEGMENT)
        if size < 128:
            file.fail(0, "S3", f"{size} bytes have no room for a footer")
        self.footer = size - 64
        cur = Cursor(data[self.footer:], file.name, self.footer, "S3")
        if cur.take(8) != b"TAPE-END":
            file.fail(self.footer, "S3", "magic of the footer")
        self.table, length, parts, zero = cur.u64(), cur.u64(), cur.u32(), cur.take(28) + cur.take(4)
        file.checked(self.footer, size - 4, cur.u32(), "S3")
        file.touch(size - 4, size)
        end = self.table + 32 * parts
        if length != size or any(zero) or self.table % 64 or self.table < 64 or end + -end % 64 != self.footer:
            file.fail(self.footer, "S3", "length, reserved bytes or position of the table")
        self.count = parts

    def entry(self, number):
        """S8: an entry of the table; others may be damaged without harm to this one."""
        file, at = self.file, self.table + 32 * number
        cur = Cursor(file.data[at:at + 32], file.name, at, "S8")
        series, zero, start, index, zeros, crc = cur.u32(), cur.u32(), cur.u64(), cur.u64(), cur.u32(), cur.u32()
        file.checked(at, at + 28, crc)
        file.touch(at + 28, at + 32)
        if zero or zeros or start % 64 or not 64 <= start <= index < self.table:
            file.fail(at, "S8", "entry of the table of parts")
        return series, start, index

    def part(self, number):
        return Part(self.file, *self.entry(number), self.table)


class Chunk:
    """A chunk as the index tells of it; the head is read when it is asked for."""

    def __init__(self, part, stream, number, first_row, position, rows, first, last):
        self.part, self.stream, self.number, self.first_row = part, stream, number, first_row
        self.position, self.rows, self.first, self.last = position, rows, first, last
        self.entries = None
        self.columns = {}

    def head(self):
        if self.entries is None:
            self.entries = read_head(self)
        return self.entries

    def column(self, code):
        """The values of all rows; null everywhere if there is no entry (S19)."""
        entry = self.head().get(code)
        if entry is None:
            if code == TIME:
                return self.part.grid_times()[self.first_row:self.first_row + self.rows]
            return [None] * self.rows
        return read_column(self, entry)

    def times(self):
        """S11: ascending, strictly if each time has at most one row, first and last as stated."""
        times = self.column(TIME)
        strict = self.part.unique and self.stream == 0
        if times[0] != self.first or times[-1] != self.last:
            self.part.file.fail(self.position, "S11", "first or last time is not as stated")
        for a, b in zip(times, times[1:]):
            if a > b or strict and a == b:
                self.part.file.fail(self.position, "S11", "times do not ascend")
        return times


class Entry:
    pass


class Part:
    def __init__(self, file, series, start, index, end):
        self.file, self.series, self.start, self.index = file, series, start, index
        cur, at = file.sealed_with_magic(index, b"TIDX")
        self.index_end = at
        if cur.varint() != series:
            cur.fail("another series")
        bits = cur.u8()
        if bits > 7:
            cur.fail("unknown bits")
        self.unique = bool(bits & 1)
        self.timeframe = cur.u8() if bits & 2 else None
        if self.timeframe is not None and not 1 <= self.timeframe <= 17:
            cur.fail("unknown timeframe")
        self.columns = {}
        columns = cur.varint()
        if columns > PART_COLUMNS:
            cur.fail(f"{columns} columns", kind="limit")
        for _ in range(columns):
            id, kind = cur.varint(), cur.u8()
            if id > 65535 or id in self.columns or not 1 <= kind <= 7:
                cur.fail("column")
            self.columns[id] = kind
        self.ohlc = [cur.varint() for _ in range(4)] if bits & 4 else None
        if self.ohlc and (len(set(self.ohlc)) < 4 or any(self.columns.get(id) != F64 for id in self.ohlc)):
            cur.fail("open, high, low and close")
        self.version_low = cur.varint()
        self.version_high = self.version_low + cur.varint()
        self.grid_rows = cur.varint()
        if self.version_high > MASK:
            cur.fail("versions")
        self.live = self.read_chunks(cur, 0)
        self.history = self.read_chunks(cur, 1)
        self.live_rows, self.history_rows = (sum(c.rows for c in chunks) for chunks in (self.live, self.history))
        if max(self.live_rows, self.history_rows) > PART_ROWS:
            cur.fail("too many rows")
        self.marks = []
        for _ in range(self.count(cur, 4)):
            kind, begin = cur.u8(), cur.svarint()
            mark_end, version = begin + cur.varint(), cur.varint()
            if not 1 <= kind <= 3 or not TIME_MIN <= begin < mark_end <= TIME_MAX + 1:
                cur.fail("mark")
            if not self.version_low <= version <= self.version_high or self.marks and self.marks[-1][3] > version:
                cur.fail("versions of marks")
            self.marks.append((kind, begin, mark_end, version))
        self.runs, slot = [], 0
        for _ in range(self.count(cur, 8)):
            slot, runs, covered, size = slot + cur.svarint(), cur.varint(), cur.varint(), cur.varint()
            if not 1 <= runs <= 1024 or size > CHECKED_BYTES or not runs <= covered or wrap(slot) != slot:
                cur.fail("entry of a block of runs")
            self.runs.append((slot, runs, covered, size, cur.u32(), at))
            at += size
        cur.done()
        if at > end:
            file.fail(index, "S4", "blocks of runs run into the table of parts")
        self.end = at
        if self.runs and self.timeframe is None:
            cur.fail("runs without a timeframe")
        ends = {0} | {c.first_row + c.rows for c in self.live}
        if self.grid_rows not in ends or self.grid_rows > sum(r[2] for r in self.runs) or self.grid_rows and not self.unique:
            cur.fail("grid rows")
        self.times_cache = None

    @staticmethod
    def count(cur, least):
        """A count of entries that take at least so many bytes each."""
        count = cur.varint()
        if count * least > cur.left():
            cur.fail(f"a count of {count}, {cur.left()} bytes left")
        return count

    def read_chunks(self, cur, stream):
        chunks, last, row, before = [], 0, 0, -1
        for number in range(self.count(cur, 4)):
            position, rows = self.start + 64 * cur.varint(), cur.varint()
            first = last + cur.svarint()
            span = cur.varint()
            if not 1 <= rows <= CHUNK_ROWS:
                cur.fail("rows of a chunk")
            if not before < position < self.index:
                cur.fail("position of a chunk", "S10")
            if chunks and first < last or chunks and stream == 0 and self.unique and first == last:
                cur.fail("times of chunks do not ascend", "S11")
            last, before = first + span, position
            if not TIME_MIN <= first <= last <= TIME_MAX:
                cur.fail("times of a chunk", "S11")
            chunks.append(Chunk(self, stream, number, row, position, rows, first, last))
            row += rows
        return chunks

    def read_runs(self):
        """S14: runs of slots, one after the other."""
        before = None
        for slot, runs, covered, size, crc, at in self.runs:
            data = self.file.checked(at, at + size, crc)
            cur = Cursor(data, self.file.name, at, "S14")
            gaps, lengths = codecs.plain(cur, runs), codecs.plain(cur, runs)
            cur.done()
            if sum(lengths) != covered or min(lengths) < 1 or gaps[0] != 0 or any(gap < 1 for gap in gaps[1:]) or before is not None and slot <= before:
                cur.fail("runs of a block")
            for gap, length in zip(gaps, lengths):
                slot += gap
                if wrap(slot + length) != slot + length:
                    cur.fail("slots overflow")
                yield slot, slot + length
                slot += length
            before = slot

    def grid_times(self):
        """S15: the times of live rows below `grid rows`."""
        if self.times_cache is None:
            grid, times, left = Grid(self.timeframe), [], self.grid_rows
            for start, end in self.read_runs():
                end = min(end, start + left)
                if grid.step:
                    times.extend(range(start * grid.step + grid.phase, end * grid.step + grid.phase, grid.step))
                else:
                    if abs(start) > 10**6 or abs(end) > 10**6:
                        self.file.fail(self.index, "S11", "months beyond the limits of times")
                    times.extend(grid.begin(slot) for slot in range(start, end))
                left -= end - start
                if not left:
                    break
            if times and not (TIME_MIN <= times[0] and times[-1] <= TIME_MAX):
                self.file.fail(self.index, "S11", "times beyond their limits")
            if left:
                self.file.fail(self.index, "S15", "fewer slots than grid rows")
            self.times_cache = times
        return self.times_cache


def read_head(chunk):
    """The head of a chunk and where the bytes of its columns are. S16 to S20."""
    part, file = chunk.part, chunk.part.file
    cur, at = file.sealed_with_magic(chunk.position, b"TCHK")
    cur.rule = "S16"
    stated = [cur.varint(), cur.u8(), cur.varint(), cur.varint(), cur.varint(), cur.svarint(), cur.varint()]
    if stated != [part.series, chunk.stream, chunk.number, chunk.first_row, chunk.rows, chunk.first, chunk.last - chunk.first]:
        cur.fail("the head does not repeat what the index says")
    count = cur.varint()
    if count > PART_COLUMNS + 5:
        cur.fail(f"{count} entries", "S18", "limit")
    blocks = -(-chunk.rows // BLOCK_ROWS)
    entries, roles = {}, {}
    for _ in range(count):
        entry = Entry()
        entry.code, entry.kind, entry.encoding, entry.flags = cur.varint(), cur.u8(), cur.u8(), cur.u8()
        known = I64 if entry.code <= FLAGS else part.columns.get(entry.code - FIRST_COLUMN) if entry.code >= FIRST_COLUMN else None
        if known is None or entry.code in entries:
            cur.fail(f"code {entry.code}")
        if entry.kind != known:
            cur.fail(f"type {entry.kind} of code {entry.code}")
        encoding, flags = entry.encoding, entry.flags
        if encoding > TEXT:
            cur.fail(f"encoding {encoding}")
        if entry.kind not in FITS[encoding] or encoding == NULL and entry.code < FIRST_COLUMN:
            cur.fail(f"encoding {encoding} of type {entry.kind}", "S20")
        if (flags & FACTORS and (encoding not in (DECIMAL, GROUP) or entry.kind != F64 or not file.features & FACTORED)
                or flags & DIGITS and (encoding != GROUP or not file.features & (SINGLED if flags & FACTORS else DIGITAL))
                or flags & MODEL and encoding not in MODELLED.get(file.features & (CODED | LANES), ())
                or flags & NULLS and (encoding in (NULL, CONSTANT, RAW, GROUP) or entry.code < FIRST_COLUMN)
                or flags & EXCEPTIONS and encoding not in (DECIMAL, GROUP) or flags & (ZONES | LONG) and encoding in (NULL, CONSTANT)
                or flags & LONG and encoding == RAW or flags & ZONES and entry.kind == STRING or flags & NANS and entry.kind not in (F64, F32)):
            cur.fail(f"flags {flags} with encoding {encoding}", "S20")
        entry.value = entry.scale = entry.places = entry.cut = entry.role = None
        entry.distinct = entry.heap_bytes = entry.model_bytes = 0
        if encoding == CONSTANT:
            entry.value = constant(cur, entry)
        elif encoding == GROUP:
            entry.role = cur.u8()
            if entry.role > 3:
                cur.fail(f"role {entry.role}")
            if entry.role in roles:
                cur.fail(f"role {entry.role}", "K13")
            roles[entry.role] = entry
        elif encoding == SPLIT:
            entry.cut = cur.u8()
            if not 1 <= entry.cut <= (31 if entry.kind == F32 else 63):
                cur.fail(f"cut {entry.cut}", "K12")
        elif encoding == DICTIONARY:
            entry.distinct, entry.heap_bytes = cur.varint(), cur.varint()
            if not 1 <= entry.distinct <= chunk.rows or not entry.distinct <= entry.heap_bytes <= HEAP_BYTES:
                cur.fail("dictionary", "K14")
        if encoding in (DECIMAL, GROUP):
            entry.scale = codecs.scale(cur)
        if flags & SINGLES == DIGITS:
            entry.places = cur.u8()
            if not 1 <= entry.places <= 18 or entry.scale[0] + entry.places > 22:
                cur.fail(f"{entry.places} further places of exponent {entry.scale[0]}", "K20")
        entry.model = None
        if flags & MODEL:
            entry.model_bytes = cur.varint()
            if not 1 <= entry.model_bytes <= (LANES_BYTES if file.features & LANES else MODEL_BYTES):
                cur.fail(f"a model of {entry.model_bytes} bytes", "S20")
        entry.zones = None
        if flags & ZONES:
            size = cur.varint()
            entry.zones_at = cur.pos
            entry.zones = cur.take(size)
        rows = [BLOCK_ROWS] * (blocks - 1) + [chunk.rows - BLOCK_ROWS * (blocks - 1)]
        if encoding in (NULL, CONSTANT):
            lengths = []
        elif encoding == RAW:
            lengths = [n * SIZES[entry.kind] for n in rows]
            at += -at % 64
        else:
            lengths = [cur.u32() if flags & LONG else cur.u16() for _ in rows]
        entry.heap = at
        at += entry.heap_bytes + 4 * -(-entry.heap_bytes // 8188)
        entry.model_at = at
        at += entry.model_bytes + 4 * -(-entry.model_bytes // 8188)
        entry.blocks = []
        for n, length in zip(rows, lengths):
            if at + length > part.index:
                cur.fail("a chunk runs past the index", "S17")
            units = [(offset, min(offset + CHECKED_BYTES, at + length), cur.u32()) for offset in range(at, at + length, CHECKED_BYTES)]
            entry.blocks.append((n, at, units))
            at += length
        entries[entry.code] = entry
    cur.done()
    if at > part.index:
        cur.fail("a chunk runs past the index", "S17")
    needed = {VERSION, SOURCE, FLAGS} | ({UNTIL} if chunk.stream else set())
    if not needed <= set(entries) or not chunk.stream and UNTIL in entries:
        cur.fail("system columns", "S19")
    if (TIME in entries) == (chunk.stream == 0 and chunk.first_row < part.grid_rows):
        cur.fail("a column of times where runs tell them, or none where they do not")
    if roles and (len(roles) < 4 or len({(entry.scale, entry.places, entry.flags & SINGLES == SINGLES) for entry in roles.values()}) > 1):
        cur.fail("the group is not whole", "K13")
    chunk.end = at
    chunk.roles = roles
    return entries


def constant(cur, entry):
    kind = entry.kind
    if kind in (I64, TIMESTAMP):
        value = cur.svarint()
    elif kind == F64:
        value = cur.i64()
    elif kind == F32:
        value = cur.u32()
    elif kind == STRING:
        value = cur.string(STRING_BYTES).encode()
    else:
        value = cur.u8()
    return fitting(cur, entry, [value], None)[0]


def fitting(cur, entry, values, empty):
    """S19, S20: values fit the type; unsigned system columns are 64 bits."""
    if entry.code in (VERSION, UNTIL):
        return [value & MASK for value in values]
    limit = SYSTEM_LIMITS.get(entry.code) or LIMITS.get(entry.kind)
    if limit:
        kept = values if empty is None else [v for v, null in zip(values, empty) if not null]
        if kept and (min(kept) < 0 or max(kept) > limit):
            cur.fail(f"values do not fit code {entry.code} of type {entry.kind}", "S19" if entry.code <= FLAGS else "S20")
    return values


def heap(chunk, entry):
    """K14."""
    file = chunk.part.file
    data = file.sealed(entry.heap, entry.heap_bytes)[0]
    cur = Cursor(data, file.name, entry.heap, "K14")
    strings = []
    for _ in range(entry.distinct):
        size = cur.varint()
        if size > STRING_BYTES:
            cur.fail(f"a string of {size} bytes")
        strings.append(bytes(cur.take(size)))
        cur.text(strings[-1])
    cur.done()
    return strings


def model(chunk, entry):
    """K15, K18: the model of a column with flag 32, decoded once."""
    if entry.flags & MODEL and entry.model is None:
        file = chunk.part.file
        content = file.sealed(entry.model_at, entry.model_bytes)[0]
        entry.model = codecs.model(Cursor(content, file.name, entry.model_at, "K15"), file.features)
    return entry.model


def block_bytes(chunk, units):
    return b"".join(chunk.part.file.checked(*unit) for unit in units)


def read_column(chunk, entry):
    if entry.encoding == NULL:
        return [None] * chunk.rows
    if entry.encoding == CONSTANT:
        return [entry.value] * chunk.rows
    strings = heap(chunk, entry) if entry.encoding == DICTIONARY else None
    out = []
    for number in range(len(entry.blocks)):
        out += read_block(chunk, entry, number, strings)
    return out


def opened(chunk, entry, number):
    n, at, units = entry.blocks[number]
    return n, Cursor(block_bytes(chunk, units), chunk.part.file.name, at, "K1")


def mantissas(chunk, entry, number, cache):
    """Mantissas of a column of the group, and the cursor behind them."""
    if entry.role not in cache:
        n, cur = opened(chunk, entry, number)
        values, transform = codecs.integers(cur, n, model=model(chunk, entry))
        if transform == codecs.GROUP:
            if entry.role == 0:
                cur.fail("close with transform group", "K13")
            close = mantissas(chunk, chunk.roles[0], number, cache)[0]
            open = mantissas(chunk, chunk.roles[1], number, cache)[0] if entry.role > 1 else None
            values = codecs.group(entry.role, values, close, open)
        cache[entry.role] = values, cur
    return cache[entry.role]


def digits(chunk, entry, number, cache):
    """Mantissas and further digits of a column of the group, and the cursor behind them."""
    values, cur = mantissas(chunk, entry, number, cache)
    key = "digits", entry.role
    if key not in cache:
        told = codecs.told_digits(cur, len(values))
        close = digits(chunk, chunk.roles[0], number, cache)[:2] if entry.role else None
        open = digits(chunk, chunk.roles[1], number, cache)[:2] if entry.role > 1 else None
        cache[key] = codecs.carried_digits(entry.role, told, values, close, open)
    return values, cache[key], cur


def singles(chunk, entry, number, cache):
    """Adjusted closes of a block, and what each is of the price that was paid; other columns than close are multiplied by it."""
    values, cur = mantissas(chunk, entry, number, cache)
    prices = codecs.paid(values, entry.scale)
    if entry.role == 0:
        return *codecs.adjusted_singles(cur, prices), cur
    ratios = singles(chunk, chunk.roles[0], number, cache)[1]
    return [price * ratio for price, ratio in zip(prices, ratios)], ratios, cur


def behind(entry, cur, bits):
    """What stands behind mantissas, further digits and adjusted singles: factors and exceptions."""
    if entry.flags & SINGLES == FACTORS:
        bits = codecs.factors(cur, len(bits), bits)
    if entry.flags & EXCEPTIONS:
        codecs.exceptions(cur, len(bits), bits, entry.kind)
    return bits


def read_block(chunk, entry, number, strings):
    """One block: a value for each row, None for null."""
    if entry.encoding == GROUP:
        if entry.flags & SINGLES == SINGLES:
            values, _, cur = singles(chunk, entry, number, {})
            bits = codecs.to_bits(values, F64)
        elif entry.flags & DIGITS:
            values, further, cur = digits(chunk, entry, number, {})
            bits = codecs.further_decimals(values, further, entry.scale, entry.places)
        else:
            values, cur = mantissas(chunk, entry, number, {})
            bits = codecs.decimals(values, entry.scale, F64)
        bits = behind(entry, cur, bits)
        cur.done()
        return bits
    n, cur = opened(chunk, entry, number)
    empty = codecs.nulls(cur, n) if entry.flags & NULLS else None
    if empty and all(empty) and cur.pos == 1:
        cur.done()
        return [None] * n
    encoding, kind = entry.encoding, entry.kind
    if encoding == RAW:
        values = fitting(cur, entry, list(struct.unpack(f"<{n}{FORMS[kind]}", cur.take(cur.left()))), None)
    elif encoding == INTEGERS:
        values = fitting(cur, entry, codecs.plain(cur, n, model(chunk, entry)), empty)
    elif encoding == DECIMAL:
        values = behind(entry, cur, codecs.decimals(codecs.plain(cur, n, model(chunk, entry)), entry.scale, kind))
    elif encoding == SPLIT:
        values = codecs.split(cur, n, entry.cut, kind, model(chunk, entry))
    elif encoding == DICTIONARY:
        codes = codecs.plain(cur, n, model(chunk, entry))
        if any(not 0 <= code < entry.distinct and not (empty and empty[row]) for row, code in enumerate(codes)):
            cur.fail("a code beyond the dictionary", "K14")
        values = [None if empty and empty[row] else strings[code] for row, code in enumerate(codes)]
    else:
        values = codecs.texts(cur, n, empty)
    cur.done()
    if empty:
        values = [None if null else value for value, null in zip(values, empty)]
    return values
