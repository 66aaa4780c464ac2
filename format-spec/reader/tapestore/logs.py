"""Logs of records, manifests, schemas, transactions: log.md, manifest.md, schema.md, wal.md.

Rules L1 to L5, M1 to M5, A1 to A5, W1 to W7.
"""

import struct
import zlib

from . import grid
from .basics import (COLUMNS, DEDUP_COLUMNS, DESCRIPTION_BYTES, INSTRUMENT_BYTES, LOG, MANIFEST, NAME_BYTES, NOTE_BYTES, ORDINAL, RECORD_BYTES, SERIES,
                     STRING_BYTES, TIME_MAX, TIME_MIN, Cursor, Damage, File)

FIRST, LAST = 1, 2
PHYSICAL = {1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 5, 7: 1}


# Frames -------------------------------------------------------------------------------------------------------------------------------

def frame(file, at, end):
    """L2, L3: one frame; gives sequence, durable, kind, flags, payload, position behind it."""
    data = file.data
    if at + 24 > end:
        file.fail(at, "L2", "the header of a frame is cut off")
    crc, size, kind, flags, sequence, durable = struct.unpack_from("<IHBBQQ", data, at)
    behind = at + (24 + size + 7) // 8 * 8
    if not 1 <= size <= 8168 or kind == 0 or flags > 3 or behind > end:
        file.fail(at, "L2", f"frame of kind {kind}, {size} bytes, flags {flags}")
    if file.crc(at, data[at + 4:behind]) != crc:
        file.fail(at, "L3", "checksum of a frame does not match")
    return sequence, durable, kind, flags, data[at + 24:at + 24 + size], behind


class Records:
    """Reads records one after the other. `whole` is the end of the last whole one, `next` the number of the frame that should follow it."""

    def __init__(self, file, start, end, sequence):
        self.file, self.end, self.whole, self.next = file, end, start, sequence
        self.at, self.expected = start, sequence        # of the frame that is wanted

    def __iter__(self):
        open_kind, pieces, size, begin = None, [], 0, 0
        self.at, self.expected = self.whole, self.next
        while self.at < self.end:
            sequence, _, kind, flags, payload, behind = frame(self.file, self.at, self.end)
            if self.expected is not None and sequence != self.expected:
                self.file.fail(self.at, "L1", f"sequence number {sequence}, expected {self.expected}")
            if (flags & FIRST) == (open_kind is not None) or open_kind is not None and kind != open_kind:
                self.file.fail(self.at, "L4", "frames of records mix")
            if flags & FIRST:
                open_kind, pieces, size, begin = kind, [], 0, self.at
            pieces.append(payload)
            size += len(payload)
            if size > RECORD_BYTES:
                self.file.fail(self.at, "L5", "a record is too long", "limit")
            self.file.touch(self.at, behind)
            self.at, self.expected = behind, (sequence + 1) & 0xFFFFFFFFFFFFFFFF
            if flags & LAST:
                self.whole, self.next, open_kind = self.at, self.expected, None
                yield kind, begin, b"".join(pieces)

    @property
    def complete(self):
        return self.whole == self.end


# Schemas ------------------------------------------------------------------------------------------------------------------------------

HIDDEN = set(range(0x200B, 0x2010)) | set(range(0x2028, 0x202F)) | set(range(0x2066, 0x206A)) | {0xFEFF}


def controls(text):
    return any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text)


def names(cur, rule="W7"):
    """A1."""
    instrument, name = cur.string(INSTRUMENT_BYTES), cur.string(NAME_BYTES)
    if not instrument or controls(instrument) or any(ord(c) in HIDDEN for c in instrument):
        cur.fail(f"instrument {instrument!r}", rule)
    first = name[:1]
    ascii_name = all(c.isascii() and (c.isalnum() or c in "_-.:@/") for c in name) and (first.isalpha() or first == "_")
    if not name or name not in grid.FRAMES and not ascii_name:
        cur.fail(f"frame {name!r}", rule)
    return instrument, name


class Schema:
    def __init__(self, unique, dedup, columns):
        self.unique, self.dedup, self.columns = unique, dedup, columns     # columns: (id, type, nullable, name, description)
        self.types = {column[0]: column[1] for column in columns}


def schema(cur):
    key = cur.u8()
    if key not in (1, 2):
        cur.fail(f"key {key}")
    dedup = []
    if key == 2:
        count = cur.u8()
        if count > DEDUP_COLUMNS:
            cur.fail(f"{count} dedup columns")
        dedup = [cur.u16() for _ in range(count)]
    count = cur.u16()
    if count > COLUMNS:
        cur.fail(f"{count} columns")
    columns = []
    for _ in range(count):
        id, kind, nullable, name = cur.u16(), cur.u8(), cur.u8(), cur.string(NAME_BYTES)
        description = cur.string(DESCRIPTION_BYTES)
        if id == ORDINAL or not 1 <= kind <= 7 or nullable > 1 or not name or controls(name) or name in ("time", "source", "flags", "version"):
            cur.fail(f"column {name!r}")
        columns.append((id, kind, nullable, name, description))
    if len({c[0] for c in columns}) < count or len({c[3] for c in columns}) < count or not set(dedup) <= {c[0] for c in columns}:
        cur.fail("columns are not unique, or a dedup column is none of them")
    return Schema(key == 1, dedup, columns)


class Series:
    def __init__(self, id, instrument, name):
        self.id, self.instrument, self.name = id, instrument, name
        self.definitions = []                         # (version, schema or None)
        self.timeframe = grid.FRAMES.get(name)

    def at(self, version):
        """The schema that holds at a version."""
        found = None
        for since, schema in self.definitions:
            if since <= version:
                found = schema
        return found

    def define(self, cur, version, schema, rule):
        if self.definitions and self.definitions[-1][0] >= version:
            cur.fail("versions of definitions do not ascend", rule)
        types = {column[0]: column[1] for _, earlier in self.definitions if earlier for column in earlier.columns}
        if schema and any(types.get(column[0], column[1]) != column[1] for column in schema.columns):
            cur.fail("a column changes its type (A4)", rule)
        self.definitions.append((version, schema))


def commits():
    """Series 0: versions.md."""
    series = Series(0, "tape", "commits")
    columns = [(0, 4, "kind"), (1, 1, "series"), (2, 1, "added"), (3, 1, "updated"), (4, 1, "deleted"), (5, 6, "message")]
    series.definitions = [(0, Schema(False, [], [(id, kind, 0, name, "") for id, kind, name in columns]))]
    return series


def told(series):
    """What the definitions of a series say, but for what is meant for people."""
    return [(version, schema and (schema.unique, schema.dedup, [column[:4] for column in schema.columns])) for version, schema in series.definitions]


# Manifest -----------------------------------------------------------------------------------------------------------------------------

class Current:
    def __init__(self, data):
        fail = lambda offset, detail, kind: Damage("CURRENT", offset, "M4", detail, kind)
        if len(data) >= 8 and data[:8] != b"TAPECURR":
            raise fail(0, "magic", "foreign")
        if len(data) != 64:
            raise fail(0, f"{len(data)} bytes", "corrupt")
        if zlib.crc32(data[:60]) != int.from_bytes(data[60:], "little"):
            raise fail(60, "checksum does not match", "corrupt")
        format, self.store, self.manifest, self.length, self.step, self.created = struct.unpack_from("<I16sQQQq", data, 8)
        if format > 1:
            raise fail(8, f"format {format}", "newer")
        if format == 0 or self.length < 64:
            raise fail(8, "format or length", "corrupt")


class Listed:
    """A segment as the manifest lists it."""


class Manifest:
    def __init__(self, current, file):
        if len(file.data) < current.length:
            file.fail(len(file.data), "M1", f"shorter than the {current.length} bytes that count")
        file.data = file.data[:current.length]
        file.header(MANIFEST)
        self.sources, self.series, self.segments, self.snapshots = [], {}, {}, {}
        self.state, last = None, None
        records = Records(file, 64, current.length, 0)
        for kind, at, data in records:
            last = kind
            cur = Cursor(data, file.name, at + 24, "M3")
            self.apply(kind, record(cur, kind), lambda detail, cur=cur: cur.fail(detail, "M5"))
        if not records.complete or last != 1 or self.state[4] != current.step:
            file.fail(current.length, "M2", f"the manifest does not end with the state of step {current.step}")
        self.sealed, self.first_log, self.next_file, self.floor, self.step = self.state
        for segment in self.segments.values():
            for part in segment.parts:
                if part["series"] not in self.series:
                    file.fail(64, "M5", f"segment {segment.id} has a part of series {part['series']}, which is not known")
        self.series.setdefault(0, commits())

    def apply(self, kind, found, fail):
        """M5."""
        if kind == 1:
            self.state = found
        elif kind == 2:
            if found[0] != len(self.sources) or found[1] in self.sources:
                fail("number or name of a source")
            self.sources.append(found[1])
        elif kind == 3:
            if found.id > len(self.series) or found.id >= SERIES:
                fail(f"series {found.id}, {len(self.series)} known")
            if any((other.instrument, other.name) == (found.instrument, found.name) for id, other in self.series.items() if id != found.id):
                fail(f"two series {found.instrument} {found.name}")
            if found.id == 0 and told(found) != told(commits()):
                fail("series 0 is not defined as the log of commits")
            self.series[found.id] = found
        elif kind == 4:
            if found.id in self.segments:
                fail("a segment is added twice")
            self.segments[found.id] = found
        elif kind == 5:
            if self.segments.pop(found, None) is None:
                fail("a segment is removed that is not there")
        elif kind == 6:
            self.snapshots[found[0]] = found[1]
        else:
            self.snapshots.pop(found, None)


def record(cur, kind):
    """M3: the fields of a record of a manifest, and nothing behind them."""
    if kind == 1:
        found = cur.u64(), cur.u64(), cur.u64(), cur.u64(), cur.u64()
    elif kind == 2:
        found = cur.u16(), cur.string(NOTE_BYTES)
    elif kind == 3:
        found = series(cur)
    elif kind == 4:
        found = added(cur)
    elif kind == 5:
        found = cur.u64()
    elif kind == 6:
        found = cur.string(NOTE_BYTES), cur.u64(), cur.i64()
    elif kind == 7:
        found = cur.string(NOTE_BYTES)
    else:
        cur.fail(f"kind {kind}")
    cur.done()
    return found


def series(cur):
    id = cur.u32()
    found = Series(id, *names(cur, "M3"))
    for _ in range(cur.varint()):
        version, present = cur.u64(), cur.u8()
        if present > 1:
            cur.fail(f"present {present}")
        found.define(cur, version, schema(cur) if present else None, "M3")
    return found


def added(cur):
    segment = Listed()
    segment.id, segment.length, low, high, segment.level = cur.u64(), cur.u64(), cur.u64(), cur.u64(), cur.u8()
    segment.hash = high << 64 | low
    segment.parts = []
    for _ in range(cur.varint()):
        part = {"series": cur.varint(), "part": cur.varint(), "rows": cur.varint(), "first": cur.i64(), "last": cur.i64(),
                "history": cur.varint(), "history_first": 0, "history_last": -1}
        if part["history"]:
            part["history_first"], part["history_last"] = cur.i64(), cur.i64()
        part |= {"low": cur.varint(), "high": cur.varint(), "marks": cur.varint(), "bytes": cur.varint()}
        if (part["series"] >> 32 or part["part"] >> 32 or part["marks"] >> 32 or part["high"] < part["low"]
                or segment.parts and segment.parts[-1]["series"] >= part["series"]):
            cur.fail("part of a segment")
        if part["last"] < part["first"] if part["rows"] else (part["first"], part["last"]) != (0, -1):
            cur.fail("times of a part")
        if part["history"] and part["history_last"] < part["history_first"]:
            cur.fail("times of a part")
        segment.parts.append(part)
    return segment


# Write-ahead logs ---------------------------------------------------------------------------------------------------------------------

class Log:
    """A log with its header and start record, or stillborn."""

    def __init__(self, file):
        self.file, self.id, self.stillborn = file, file.id, False
        try:
            file.header(LOG)
            sequence, _, kind, flags, payload, self.begin = frame(file, 64, len(file.data))
            if kind != 1 or flags != 3 or len(payload) != 24:
                file.fail(64, "W1", "the first record is no start record")
            self.sequence = sequence
            self.previous, self.previous_end, self.version = struct.unpack("<QQQ", payload)
        except Damage as damage:
            self.damage = damage
            if damage.rule == "H4" or len(file.data) > 112 or any(found[2] != 1 for _, found in whole_frames(file, 64, len(file.data))):
                raise
            self.stillborn = True


def whole_frames(file, start, end):
    """Every frame that validates at a multiple of 8."""
    for at in range(start + -start % 8, end - 24, 8):
        try:
            yield at, frame(file, at, end)
        except Damage:
            pass


def torn(file, records):
    """wal.md, torn ends: no later frame calls the missing one durable."""
    q = records.expected
    for at, (sequence, durable, *_) in whole_frames(file, records.at, records.end):
        if q is not None and q <= sequence <= q + 1 + (at - records.at) // 24 and durable >= q:
            return False
    return True


class Transaction:
    pass


def transaction(cur):
    """W2, W3: the effects of a commit."""
    t = Transaction()
    t.version, t.time, t.kind, t.message = cur.u64(), cur.i64(), cur.u8(), cur.string(NOTE_BYTES)
    if t.kind not in (1, 2):
        cur.fail(f"kind {t.kind}")
    t.added, t.updated, t.deleted = cur.varint(), cur.varint(), cur.varint()
    t.effects = []
    for _ in range(cur.varint()):
        id = cur.u8()
        if id == 1:
            t.effects.append((1, cur.u16(), cur.string(NOTE_BYTES)))
        elif id == 2:
            series = cur.u32()
            t.effects.append((2, series, names(cur), schema(cur)))
        elif id == 3:
            t.effects.append((3, cur.u32()))
        elif id == 4:
            t.effects.append((4, cur.u32(), rows(cur)))
        elif id == 5:
            series, kind, start, end = cur.u32(), cur.u8(), cur.i64(), cur.i64()
            if not 1 <= kind <= 3 or start >= end:
                cur.fail("mark")
            t.effects.append((5, series, (kind, start, end, t.version)))
        else:
            cur.fail(f"effect {id}")
    cur.done()
    return t


def runs(cur, count):
    values = []
    for _ in range(cur.varint()):
        length, value = cur.varint(), cur.u16()
        if not 1 <= length <= count - len(values):
            cur.fail("lengths of runs do not add up")
        values += [value] * length
    if len(values) != count:
        cur.fail("lengths of runs do not add up")
    return values


class Rows:
    """Rows of an effect: times, sources, flags, columns by id as (physical type, values)."""


def rows(cur):
    found = Rows()
    count = cur.u32()
    found.times = list(struct.unpack(f"<{count}q", cur.take(8 * count)))
    if any(a > b for a, b in zip(found.times, found.times[1:])):
        cur.fail("times do not ascend")
    if found.times and not TIME_MIN <= found.times[0] <= found.times[-1] <= TIME_MAX:
        cur.fail("times beyond their limits", "W7")
    found.sources, found.flags = runs(cur, count), runs(cur, count)
    found.columns = {}
    columns = cur.u16()
    for _ in range(columns):
        id, has_nulls = cur.u16(), cur.u8()
        if has_nulls > 1 or id in found.columns:
            cur.fail(f"column {id}")
        empty = cur.take(count) if has_nulls else None
        kind = cur.u8()
        if kind in (1, 2):
            values = list(struct.unpack(f"<{count}q", cur.take(8 * count)))
        elif kind == 3:
            values = list(struct.unpack(f"<{count}I", cur.take(4 * count)))
        elif kind == 4:
            values = list(cur.take(count))
        elif kind == 5:
            values = []
            for row in range(count):
                size = cur.varint()
                if size > STRING_BYTES:
                    cur.fail(f"a string of {size} bytes")
                values.append(bytes(cur.take(size)))
                cur.text(values[-1])
        else:
            cur.fail(f"physical type {kind}")
        if empty:
            values = [None if null else value for value, null in zip(values, empty)]
        found.columns[id] = kind, values
    if len(found.columns) - (ORDINAL in found.columns) > COLUMNS:
        cur.fail(f"{columns} columns", "W3", "limit")
    return found
