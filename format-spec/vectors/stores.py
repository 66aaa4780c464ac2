"""Vectors of whole stores: what files, records and transactions say of one another, and what may be wrong with it."""

import os
import sys

from encode import *  # noqa: F403
from segments import chunk_of

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../reader"))
from tapestore.xxh3 import xxh3_128  # noqa: E402

T0 = 1704067200000000000
I64, F64, U8, BOOL, STRING = 1, 2, 4, 5, 6
LOG, MANIFEST, SEGMENT = 1, 2, FILE
COMMITS = schema(2, [(0, U8, 0, "kind", ""), (1, I64, 0, "series", ""), (2, I64, 0, "added", ""), (3, I64, 0, "updated", ""),
                     (4, I64, 0, "deleted", ""), (5, STRING, 0, "message", "")])
TABLE = schema(1, [(0, I64, 0, "x", ""), (1, BOOL, 1, "b", "")])
OTHER_TYPE = schema(1, [(0, BOOL, 0, "x", ""), (1, BOOL, 1, "b", "")])


def name(kind, number):
    return f"{kind}-{number:012}.tape"


# Manifest

def source(number=0, text="feed"):
    return 2, u16(number) + string(text)


def series(number, instrument, frame, *definitions):
    return 3, u32(number) + string(instrument) + string(frame) + varint(len(definitions)) + b"".join(u64(v) + u8(1) + s for v, s in definitions)


def part(number, place, rows=2, times=(T0, T0 + 1), low=1, high=1, marks=0, size=0):
    out = varint(number) + varint(place) + varint(rows) + u64(times[0]) + u64(times[1]) + varint(0)
    return out + varint(low) + varint(high) + varint(marks) + varint(size)


def added(data, parts, number=SEGMENT, length=None, flip=0):
    hashed = xxh3_128(data) ^ flip
    fixed = u64(number) + u64(len(data) if length is None else length) + u64(hashed & MASK) + u64(hashed >> 64) + u8(0)
    return 4, fixed + varint(len(parts)) + b"".join(parts)


def state(sealed=1, first_log=LOG, step=1):
    return 1, u64(sealed) + u64(first_log) + u64(10) + u64(0) + u64(step)


# Segment: the first commit

def commit_row():
    system = [Column(8, U8, 1, u8(1)), Column(9, I64, 1, svarint(1)), Column(10, I64, 1, svarint(2)), Column(11, I64, 1, svarint(0)),
              Column(12, I64, 1, svarint(0)), Column(13, STRING, 1, string("first"))]
    kinds = [(0, U8), (1, I64), (2, I64), (3, I64), (4, I64), (5, STRING)]
    return Part(0, kinds, [chunk_of(system, 1, time=[T0 + 100])])


def first_rows(kind=I64, number=1):
    values = Column(8, kind, 3, b"", [raw([1, 2])])
    return Part(number, [(0, kind)], [chunk_of([values], 2)], bits=1)


def sizes(data):
    """Bytes of each part and its entry, as the table of parts tells."""
    table, count = struct.unpack_from("<Q", data, len(data) - 56)[0], struct.unpack_from("<I", data, len(data) - 40)[0]
    starts = [struct.unpack_from("<Q", data, table + 32 * entry + 8)[0] for entry in range(count)]
    ends = []
    for entry in range(count):
        index = struct.unpack_from("<Q", data, table + 32 * entry + 16)[0]
        size = struct.unpack_from("<I", data, index + 4)[0]
        ends.append(index + size + 4 * -(-size // 8188))
    return [end - start + 32 for start, end in zip(starts, ends)]


DATA = segment([commit_row(), first_rows()])
PARTS = [part(0, 0, 1, (T0 + 100, T0 + 100), size=sizes(DATA)[0]), part(1, 1, size=sizes(DATA)[1])]
SERIES = [series(0, "tape", "commits", (0, COMMITS)), series(1, "A", "t", (1, TABLE))]


# Log: the second commit

def transaction(version, *effects, time=T0 + 200):
    lead = u64(version) + u64(time) + u8(1) + string("") + varint(1) + varint(1) + varint(0)
    return 2, lead + varint(len(effects)) + b"".join(effects)


def named(number, text):
    return u8(1) + u16(number) + string(text)


def define(number, instrument, frame, found=TABLE):
    return u8(2) + u32(number) + string(instrument) + string(frame) + found


def rows(number, times, columns, sources=0):
    """Columns are (id, physical type, bytes)."""
    runs = lambda value: varint(1) + varint(len(times)) + u16(value) if times else varint(0)  # noqa: E731
    out = u8(4) + u32(number) + u32(len(times)) + b"".join(u64(time) for time in times) + runs(sources) + runs(0) + u16(len(columns))
    return out + b"".join(u16(column) + u8(0) + u8(kind) + data for column, kind, data in columns)


def numbers(*values):
    return b"".join(u64(value) for value in values)


SECOND = transaction(2, rows(1, [T0 + 1, T0 + 2], [(0, 1, numbers(20, 3))]))
START = u64(0) + u64(0) + u64(1)


def log(records, number=LOG, start=START, sequence=1, durable=None):
    """A log whose frames call everything before them durable."""
    out = header(2, file=number)
    for kind, record in [(1, start), *records]:
        out += frames(len(out), sequence, [(kind, record, sequence - 1 if durable is None else durable)], file=number)
        sequence += -(-len(record) // 8168)
    return out


# Stores

def store(records=None, transactions=(SECOND,), logs=None, data=DATA, parts=PARTS, end=None, short=0, step=1, drop=()):
    records = [source(), *SERIES, added(data, parts), state()] if records is None else records
    manifest = header(3, file=MANIFEST)
    manifest += frames(64, 0, [(kind, record, 0) for kind, record in records], file=MANIFEST)
    length = len(manifest) if end is None else end
    files = {"CURRENT": current(manifest=MANIFEST, length=length, step=step, created=T0), name("manifest", MANIFEST): manifest[:len(manifest) - short],
             name("segment", SEGMENT): data}
    files |= {name("wal", number): log for number, log in ({LOG: log(transactions)} if logs is None else logs).items()}
    return {file: content for file, content in files.items() if file not in drop}


EXPECTED = {"newest": 2, "series": [{"instrument": "A", "frame": "t", "rows": [[T0, 1, None], [T0 + 1, 20, None], [T0 + 2, 3, None]]}]}
FIRST = {"newest": 1, "series": [{"instrument": "A", "frame": "t", "rows": [[T0, 1, None], [T0 + 1, 2, None]]}]}


def stores(good, vector):
    def fine(title_name, title, rule, files, expected=None):
        good(f"store-{title_name}", "store", title, rule, files, expected=expected or EXPECTED)

    def broken(title_name, title, rule, files, named=None, also=None):
        """`named`: the rule that the error names, where it is another one."""
        error = {"class": "corrupt", "rule": named or rule}
        if also:
            error["also"] = also
        vector(False, f"store-{title_name}", "store", title, rule, files, error=error)

    fine("whole", "a segment and a log", "D2", store())
    fine("strangers", "files that do not count", "D2", store() | {"segment-000000000009.tape": b"x", "wal-000000000000.tape": b"x", "notes": b"x"})
    one = log([SECOND])
    two = store(logs={LOG: one, 5: log([], 5, u64(LOG) + u64(len(one)) + u64(2), 3)})
    fine("names", "names with fewer or more digits than ids have", "D1", two | {
        "wal-1.tape": b"x", "wal-0000000000005.tape": b"x", "wal-5.tape": b"x", "segment-3.tape": b"x", "manifest-2.tape": b"x"})
    manifests(fine, broken)
    parts_of_segments(broken)
    chains(fine, broken)
    torn_ends(fine, broken)
    of_transactions(fine, broken)


def manifests(fine, broken):
    whole = len(store()[name("manifest", MANIFEST)])
    broken("manifest-short", "a manifest shorter than CURRENT says", "M1", store(short=8))
    broken("manifest-missing", "no manifest", "I3", store(drop=[name("manifest", MANIFEST)]), also=["M1"])
    broken("manifest-cut", "CURRENT counts half a frame", "M1", store(end=whole - 8), "L2", also=["M1"])
    files = store()
    data = bytearray(files[name("manifest", MANIFEST)])
    data[100] ^= 1
    broken("manifest-bit", "a flipped bit in a frame of the manifest", "M1", files | {name("manifest", MANIFEST): bytes(data)}, "L3", also=["M1"])
    fine("manifest-behind", "bytes behind what CURRENT counts", "M1", files | {name("manifest", MANIFEST): files[name("manifest", MANIFEST)] + b"half a step"})
    base = [source(), *SERIES, added(DATA, PARTS)]
    broken("manifest-stateless", "no state at the end", "M2", store([*base, state(), source(1, "later")]))
    broken("manifest-empty", "no record at all", "M2", store([]))
    broken("manifest-step", "another step than in CURRENT", "M2", store(step=2))
    half = header(3, file=MANIFEST) + frames(64, 0, [(kind, record, 0) for kind, record in [*base, state()]], file=MANIFEST)
    half += frame(len(half), 2, 1, len(base) + 1, 0, b"ab", file=MANIFEST)
    broken("manifest-open", "a record that does not end", "M2",
           files | {name("manifest", MANIFEST): half, "CURRENT": current(manifest=MANIFEST, length=len(half), step=1, created=T0)})
    broken("manifest-kind", "an unknown kind of record", "M3", store([*base, (8, b"x"), state()]))
    broken("manifest-sequence", "sequence numbers of a manifest that begin at 1", "L1", files | {name("manifest", MANIFEST): header(3, file=MANIFEST) + frames(
        64, 1, [(kind, record, 0) for kind, record in [*base, state()]], file=MANIFEST)}, also=["M1"])

    def m5(title_name, title, records):
        broken(f"manifest-{title_name}", title, "M5", store([*records, state()]))

    m5("source-hole", "a source with a number too high", [source(1), *base[1:]])
    m5("source-again", "a number of a source twice", [source(), source(0, "other"), *base[1:]])
    m5("source-name", "two sources of one name", [source(), source(1), *base[1:]])
    m5("series-hole", "a series with a number too high", [*base, series(3, "C", "t", (1, TABLE))])
    m5("series-first", "a series before series 0", [source(), SERIES[1], SERIES[0], base[-1]])
    m5("commits", "a log of commits with other columns", [source(), series(0, "tape", "commits", (0, TABLE)), *base[2:]])
    m5("commits-twice", "a log of commits with two definitions", [source(), series(0, "tape", "commits", (0, COMMITS), (1, COMMITS)), *base[2:]])
    m5("series-name", "two series of one name", [*base, series(2, "A", "t", (1, TABLE))])
    m5("segment-twice", "a segment that is added twice", [*base, base[-1]])
    m5("segment-removed", "a segment that is removed and was not there", [*base, (5, u64(77))])
    m5("part-unknown", "a part of a series without a record", [source(), SERIES[0], base[-1]])
    broken("manifest-type", "a column that changes its type between two definitions", "A4",
           store([source(), SERIES[0], series(1, "A", "t", (0, OTHER_TYPE), (1, TABLE)), base[-1], state()]), "M3")
    broken("manifest-hidden", "an instrument with a character that changes direction", "A1",
           store([source(), SERIES[0], series(1, "A\u202e", "t", (1, TABLE)), base[-1], state()]), "M3", also=["M5"])
    broken("manifest-frame", "a frame that is no name", "A1", store([source(), SERIES[0], series(1, "A", "1 m", (1, TABLE)), base[-1], state()]), "M3",
           also=["M5"])


def parts_of_segments(broken):
    three = segment([commit_row(), first_rows(), Part(4, [], [], (1, 1), [(1, 0, 1, 1)])])
    broken("segment-parts", "a part that the manifest does not list", "M6", store(data=three))
    broken("segment-swapped", "parts of other series than listed", "M6", store(parts=[part(0, 1), part(1, 0, 1, (T0 + 100, T0 + 100))]))
    broken("segment-rows", "another number of rows than listed", "M6", store(parts=[PARTS[0], part(1, 1, 3, size=sizes(DATA)[1])]))
    broken("segment-times", "another last time than listed", "M6", store(parts=[PARTS[0], part(1, 1, 2, (T0, T0 + 5), size=sizes(DATA)[1])]))
    broken("segment-versions", "other versions than listed", "M6", store(parts=[PARTS[0], part(1, 1, low=1, high=2, size=sizes(DATA)[1])], transactions=[]))
    broken("segment-missing", "a segment is missing", "I3", store(drop=[name("segment", SEGMENT)]))
    broken("segment-length", "a segment that is longer than listed", "I3", store([source(), *SERIES, added(DATA, PARTS, length=len(DATA) - 64), state()]),
           also=["S3"])
    broken("segment-hash", "a segment with another hash than listed", "X2", store([source(), *SERIES, added(DATA, PARTS, flip=1), state()]), "I3")
    other = segment([commit_row(), first_rows(F64)])
    broken("segment-type", "a column of another type than in the schema", "S23",
           store(data=other, parts=[PARTS[0], part(1, 1, size=sizes(other)[1])]))


def chains(fine, broken):
    one = log([SECOND])
    behind = log([], 5, u64(LOG) + u64(len(one)) + u64(2), 3)
    fine("chain", "two logs", "W6", store(logs={LOG: one, 5: behind}))
    fine("chain-stillborn", "a log without a header between two logs", "W6", store(logs={LOG: one, 4: b"TAPE", 5: behind}))
    broken("chain-first", "the first log is missing", "W6", store(logs={5: behind}))
    broken("chain-link", "a log that names another one before it", "W6", store(logs={LOG: one, 5: log([], 5, u64(4) + u64(len(one)) + u64(2), 3)}))
    broken("chain-short", "a log shorter than its successor says", "W5", store(logs={LOG: one[:-8], 5: behind}))
    early = log([], 5, u64(LOG) + u64(len(one) - 8) + u64(2), 3)
    broken("chain-middle", "a log whose records do not end where its successor says", "W5", store(logs={LOG: one, 5: early}), "L2", also=["W5"])
    broken("chain-sequence", "a number is left out between two logs", "L1", store(logs={LOG: one, 5: log([transaction(3)], 5, u64(LOG) + u64(len(one)) + u64(2), 4)}),
           also=["W5"])
    flipped = bytearray(one)
    flipped[150] ^= 1
    broken("chain-bit", "a flipped bit in a log that has a successor", "L3", store(logs={LOG: bytes(flipped), 5: behind}), also=["W5"])
    broken("log-start", "a log that begins with a transaction", "W1", store(logs={LOG: header(2, file=LOG) + frames(64, 1, [(*SECOND, 0)], file=LOG)}))
    broken("log-kind", "a record of kind 3", "W1", store(transactions=[SECOND, (3, b"x")]))
    broken("log-record", "a transaction with a byte too many", "W2", store(transactions=[(2, SECOND[1] + b"\0")]))
    broken("log-mixed", "a record that begins in another one, at the end of the newest log", "L4",
           store(logs={LOG: one + frame(len(one), 2, 1, 3, 2, b"x", file=LOG) + frame(len(one) + 32, 2, 3, 4, 2, b"x", file=LOG)}))


def torn_ends(fine, broken):
    one = log([SECOND])
    start = len(log([]))
    third = transaction(3, rows(1, [T0 + 9], [(0, 1, numbers(9))]))
    at = len(one)
    bad_third = frames(at, 3, [(*third, 2)], file=LOG)
    size = len(bad_third)
    bad_third = bad_third[:40] + bytes([bad_third[40] ^ 1]) + bad_third[41:]
    fine("torn-cut", "the last record is cut short", "W5", store(logs={LOG: one[:-8]}), FIRST)
    fine("torn-zeros", "zeros behind the last record", "W5", store(logs={LOG: one + bytes(100)}))
    fine("torn-bit", "a flipped bit in the last record", "W5", store(logs={LOG: one + bad_third}))
    fine("torn-later", "a later frame that does not call the missing one durable", "W5",
         store(logs={LOG: one + bad_third + frame(at + size, 2, 3, 4, 2, b"later", file=LOG)}))
    broken("torn-durable", "a later frame that calls the missing one durable", "W5",
           store(logs={LOG: one + bad_third + frame(at + size, 2, 3, 4, 3, b"later", file=LOG)}))
    broken("torn-second", "not the next frame, but the one after it, calls the missing one durable", "W5",
           store(logs={LOG: one + bad_third + frame(at + size, 2, 3, 4, 2, b"later", file=LOG) + frame(at + size + 32, 2, 3, 5, 4, b"later", file=LOG)}))
    broken("torn-at", "where the missing frame should stand, the next one calls it durable", "W5",
           store(logs={LOG: one + frame(at, 2, 3, 4, 3, b"next", file=LOG)}))
    fine("torn-at-later", "where a frame should stand, the next one does not call it durable", "W5", store(logs={LOG: one + frame(at, 2, 3, 4, 2, b"next", file=LOG)}))
    fine("torn-at-older", "where a frame should stand, an older one", "W5", store(logs={LOG: one + frame(at, 2, 3, 2, 2, b"old", file=LOG)}))
    fine("torn-far", "a number that the bytes between cannot hold", "W5",
         store(logs={LOG: one + bad_third + frame(at + size, 2, 3, 4 + size // 24 + 1, 3, b"later", file=LOG)}))
    fine("torn-open", "a record that does not end", "W5", store(logs={LOG: one + frame(at, 2, 1, 3, 2, b"begins", file=LOG)}))
    fine("torn-unaligned", "a frame that is no multiple of 8 away", "W5",
         store(logs={LOG: one + bad_third + bytes(4) + frame(at + size + 4, 2, 3, 4, 3, b"later", file=LOG)}))
    assert start < at


def of_transactions(fine, broken):
    def w7(title_name, title, *effects, rule="W7", version=2, also=None):
        broken(f"commit-{title_name}", title, rule, store(transactions=[transaction(version, *effects)]), "W7", also=also)

    table = lambda *columns, at=T0 + 5: rows(1, [at], [*columns])  # noqa: E731
    fine("commit-old", "a transaction that is in a segment already", "W7", store(transactions=[transaction(1, rows(1, [T0], [(0, 1, numbers(1))])), SECOND]))
    fine("commit-source", "a source that is known, and the next one", "W7", store(transactions=[(2, transaction(2, named(0, "feed"), named(1, "next"))[1]),
                                                                                               (2, SECOND[1].replace(u64(2), u64(3), 1))]),
         {**EXPECTED, "newest": 3})
    fine("commit-define", "a new series", "W7", store(transactions=[transaction(2, define(2, "B", "t"), rows(2, [T0], [(0, 1, numbers(7))]))]),
         {"newest": 2, "series": [*FIRST["series"], {"instrument": "B", "frame": "t", "rows": [[T0, 7, None]]}]})
    w7("gap", "a version is left out", version=3)
    broken("commit-again", "a version twice", "W7", store(transactions=[SECOND, SECOND]))
    w7("source-hole", "a source with a number too high", named(2, "x"), also=["M5"])
    w7("source-other", "a source of another name", named(0, "x"), also=["M5"])
    w7("source-name", "a new source of a name that is known", named(1, "feed"), also=["M5"])
    w7("series-hole", "a series with a number too high", define(3, "C", "t"))
    w7("series-name", "a new series of a name that is known", define(2, "A", "t"))
    w7("series-other", "a known series under another name", define(1, "B", "t"))
    w7("series-unknown", "rows of a series that was never defined", rows(2, [T0], []))
    w7("series-0", "an effect on series 0", rows(0, [T0], []))
    w7("drop-unknown", "a drop of a series that was never defined", u8(3) + u32(2))
    w7("mark-unknown", "a mark of a series that was never defined", u8(5) + u32(2) + u8(1) + u64(0) + u64(1))
    w7("name-control", "a control character in an instrument", define(2, "B\n", "t"), rule="A1")
    w7("name-hidden", "a character that is not seen in an instrument", define(2, "B\u200b", "t"), rule="A1")
    w7("name-empty", "an instrument without a name", define(2, "", "t"), rule="A1", also=["W2"])
    w7("name-frame", "a frame that begins with a digit and is no timeframe", define(2, "B", "7m"), rule="A1")
    w7("name-alias", "a timeframe in another form", define(2, "B", "1min"), rule="A1")
    w7("mark-limit", "a mark beyond the limits of times", u8(5) + u32(1) + u8(1) + u64(0) + u64(9 * 10**18 + 2))
    w7("type", "a definition that changes the type of a column", define(1, "A", "t", OTHER_TYPE), rule="A4")
    w7("dropped", "rows of a series that the transaction drops", u8(3) + u32(1), rows(1, [T0], []))
    w7("rows-twice", "two sets of rows of one series", table((0, 1, numbers(1))), table((0, 1, numbers(1)), at=T0 + 6))
    w7("column", "a column that the schema does not have", table((7, 1, numbers(1))))
    w7("column-type", "a column of another physical type", table((0, 2, numbers(1))))
    w7("ordinal", "an ordinal that is no i64", table((65535, 4, b"\0")))
    w7("bool", "a bool of 2", table((1, 4, b"\2")))
    w7("row-source", "a row of a source that is not known", rows(1, [T0 + 5], [], sources=1))
    w7("times", "a time twice where each has one row", rows(1, [T0, T0], [(0, 1, numbers(1, 2))]))
    w7("time-limit", "a time beyond the limits", rows(1, [9 * 10**18 + 1], []))
