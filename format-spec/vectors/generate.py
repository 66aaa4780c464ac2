#!/usr/bin/env python3
"""Makes the test vectors from the chapters of format-spec, without any encoder of Tapestore.

    generate.py --check     compares with the frozen files (exit 1 if one differs)
    generate.py --write     writes them anew: only with a page in format-spec/decisions

Format of the files: README.md beside this one.
"""

import json
import os
import sys

from encode import *  # noqa: F403

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = {}
T0 = 1704067200000000000


class Noise:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed

    def word(self):
        self.state = self.state + 0x9E3779B97F4A7C15 & MASK
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return z ^ z >> 31

    def below(self, limit):
        return self.word() % limit

    def width(self, width):
        return self.word() & (1 << width) - 1


def vector(valid, name, structure, title, rule, data, **fields):
    path = f"{'valid' if valid else 'invalid'}/{name}.json"
    assert path not in OUT, path
    out = {"structure": structure, "title": title, "rule": rule}
    out.update(fields)
    out["files" if isinstance(data, dict) else "hex"] = {name: part.hex() for name, part in data.items()} if isinstance(data, dict) else data.hex()
    OUT[path] = json.dumps(out, ensure_ascii=False, indent=1).replace("\n  ", " ").replace("\n ]", "]") + "\n"


def good(name, structure, title, rule, data, **fields):
    vector(True, name, structure, title, rule, data, **fields)


def bad(name, structure, title, rule, data, failure="corrupt", also=None, **fields):
    error = {"class": failure, "rule": rule}
    if also:
        error["also"] = also
    vector(False, name, structure, title, rule, data, error=error, **fields)


# Integer blocks

def integers(name, title, data, values, rule="K1"):
    good(f"integers-{name}", "integers", title, rule, data, count=len(values), values=[wrap(value) for value in values])


def bad_integers(name, title, data, count, rule="K1"):
    vector(False, f"integers-{name}", "integers", title, rule, data, count=count, error={"class": "corrupt", "rule": "K1"})


def integer_blocks():
    for width in range(65):
        noise = Noise(width)
        offsets = [noise.width(width) for _ in range(19)] + [(1 << width) - 1, 0]
        integers(f"packed-{width:02}", f"21 numbers of {width} bits", packed(offsets, width), place(offsets))
        base = wrap(noise.word())
        offsets = offsets[:1 + width % 9]
        integers(f"packed-form-{width:02}", f"width {width} with base, zigzag, multiplier, differences",
                 packed(offsets, width, base, transform=1, first=-width, zigzagged=True, multiplier=25),
                 summed(-width, place(offsets, base, True, 25)))
    for low in range(64):
        noise = Noise(100 + low)
        high = 64 - low if low % 3 == 0 else min(64 - low, 1 + low % 7)
        offsets = [noise.width(low) for _ in range(33)]
        for position in (0, 5, 32):
            offsets[position] |= (1 << high) - 1 << low
        integers(f"patched-{low:02}", f"{low} low bits, {high} high bits", patched(offsets, low, high, base=-low), place(offsets, -low), "K2")
    for width in range(0, 65, 4):
        noise = Noise(200 + width)
        widths = [width, 64 - width, (width + 1) % 65, (width + 2) % 65]
        selectors = [noise.below(4) for _ in range(45)]
        offsets = [noise.width(widths[selector]) for selector in selectors]
        integers(f"classes-{width:02}", f"classes of widths {widths}", classes(offsets, widths, selectors, base=width),
                 place(offsets, width))
    widths = [3, 17, 40, 64]
    integers("classes-zigzag", "classes with zigzag, multiplier and differences",
             classes([5, 6, 1 << 39, 9], widths, [0, 1, 2, 3], zigzagged=True, multiplier=3, transform=1, first=10),
             summed(10, place([5, 6, 1 << 39, 9], 0, True, 3)))
    for count in (1, 2, 7, 8, 9, 64, 1023, 1024):
        noise = Noise(300 + count)
        offsets = [noise.width(11) for _ in range(count)]
        integers(f"count-{count:04}", f"{count} numbers of 11 bits", packed(offsets, 11, 7), place(offsets, 7))
        integers(f"constant-{count:04}", f"{count} times the same", constant(-count), [-count] * count)
    integers("constant-delta", "a constant difference", constant(60, transform=1, first=-120), [-60, 0, 60, 120])
    integers("constant-least", "the least number", constant(-1 << 63), [-1 << 63] * 3)
    integers("constant-long-varint", "a varint longer than necessary", b"\x00\x82\x80\x00", [1, 1])
    integers("raw", "eight bytes each", raw([0, -1, 1 << 62, -1 << 63]), [0, -1, 1 << 62, -1 << 63])
    integers("raw-delta", "differences that wrap", raw([(1 << 63) - 1, 5, -9], transform=1, first=3), summed(3, [(1 << 63) - 1, 5, -9]))
    for distinct in (1, 2, 3, 4, 5, 16, 17):
        values = [wrap(value * 1000003) for value in range(distinct)]
        codes = [row % distinct for row in range(20)]
        integers(f"dictionary-{distinct:02}", f"{distinct} distinct values", dictionary(raw(values), distinct, codes),
                 [values[code] for code in codes], "K2")
    integers("dictionary-delta", "a dictionary of differences", dictionary(constant(1, transform=1, first=4), 3, [2, 0, 1], transform=1, first=100),
             summed(100, [7, 5, 6]), "K2")
    integers("runs", "three runs", runs(packed([1, 2, 3], 2, -5), packed([0, 4, 1], 3), 3), [-4] + [-3] * 5 + [-2] * 2, "K2")
    integers("runs-one", "one run", runs(constant(9), constant(11), 1), [9] * 12, "K2")
    integers("runs-delta", "runs of differences", runs(constant(2), constant(3), 1, transform=1, first=1), [3, 5, 7, 9], "K2")
    taken = [row % 3 == 0 for row in range(11)]
    integers("sparse", "others among a default", sparse(-7, packed([10, 11, 12, 13], 4), taken),
             [{0: 10, 3: 11, 6: 12, 9: 13}.get(row, -7) for row in range(11)])
    integers("sparse-all", "only others", sparse(0, constant(3), [True] * 8), [3] * 8)
    integers("multiplier-zero", "a multiplier of zero", packed([1, 2, 3], 2, 9, multiplier=0), [9, 9, 9])
    integers("multiplier-wraps", "a multiplier that wraps", packed([3, 5], 3, 1, multiplier=1 << 63), place([3, 5], 1, False, 1 << 63))
    integers("patched-delta", "patches and differences", patched([1, 1 << 20, 2], 4, 17, base=-1, transform=1, first=8),
             summed(8, place([1, 1 << 20, 2], -1)), "K2")
    integers("patched-inner", "patches inside a dictionary", dictionary(patched([1, 70, 3], 3, 5), 3, [0, 1, 2, 1]), [1, 70, 3, 70], "K2")

    bad_integers("empty", "no bytes", b"", 4)
    bad_integers("transform-3", "nothing behind `first` of transform alternate", head(0, 3)[:1] + svarint(1), 2)
    bad_integers("bit-7", "the reserved bit", head(0, reserved=1) + svarint(1), 2)
    for packing, rest in ((0, svarint(1)), (3, varint(1) + constant(1) + constant(1)), (6, bytes(16))):
        bad_integers(f"zigzag-{packing}", f"zigzag with packing {packing}", head(packing, zigzagged=True) + rest, 2)
        bad_integers(f"multiplier-{packing}", f"a multiplier with packing {packing}", head(packing, multiplier=2) + rest, 2)
    bad_integers("width-65", "a width of 65", head(1) + svarint(0) + u8(65) + bytes(17), 2)
    bad_integers("left-over-bits", "left-over bits are set", head(1) + svarint(0) + u8(3) + b"\x00\x80", 3)
    bad_integers("short", "a byte is missing", packed([1, 2, 3], 8)[:-1], 3)
    bad_integers("left-over-byte", "a byte too many", packed([1, 2, 3], 8) + b"\0", 3)
    bad_integers("varint-11", "a varint of eleven bytes", b"\x00" + b"\x80" * 10 + b"\x00", 1)
    bad_integers("varint-2", "a tenth byte above 1", b"\x00" + b"\xff" * 9 + b"\x02", 1)
    bad_integers("low-64", "low bits of 64", head(2) + svarint(0) + u8(64) + u8(0) + varint(1) + bytes(40), 2)
    bad_integers("high", "high bits beyond 64", head(2) + svarint(0) + u8(60) + u8(5) + varint(1) + bytes(40), 2)
    bad_integers("patches-0", "no patch", head(2) + svarint(0) + u8(4) + u8(5) + varint(0) + bytes(1), 2)
    bad_integers("patches-3", "more patches than numbers", head(2) + svarint(0) + u8(4) + u8(5) + varint(3) + bytes(4), 2)
    bad_integers("patch-outside", "a patch beyond the block",
                 head(2) + svarint(0) + u8(4) + u8(4) + varint(1) + pack([3], 2) + pack([1], 4) + pack([0] * 3, 4), 3, "K2")
    bad_integers("code", "a code beyond the dictionary", dictionary(raw([1, 2, 3]), 3, [0, 3]), 2, "K2")
    bad_integers("distinct-0", "an empty dictionary", head(4) + varint(0) + constant(1), 2)
    bad_integers("distinct-3", "more distinct values than numbers", dictionary(raw([1, 2, 3]), 3, [0, 1]), 2)
    bad_integers("runs-long", "runs beyond the block", runs(raw([1, 2]), raw([1, 1]), 2), 3, "K2")
    bad_integers("runs-short", "runs that end early", runs(raw([1, 2]), raw([0, 0]), 2), 3, "K2")
    bad_integers("runs-negative", "a run of no rows", runs(raw([1, 2]), raw([-1, 2]), 2), 3, "K2")
    bad_integers("runs-huge", "a length that would overflow", runs(raw([1]), raw([(1 << 63) - 1]), 1), 3, "K2")
    bad_integers("sparse-count", "bitmap and count disagree", sparse(0, constant(1), [True, False], others=2), 2)
    bad_integers("sparse-bits", "a bit of the bitmap behind the rows", head(5) + svarint(0) + varint(1) + b"\x04" + constant(1), 2)
    bad_integers("sparse-none", "no others", head(5) + svarint(0) + varint(0) + b"\x00" + constant(1), 2)
    for packing, inner in ((3, runs(constant(1), constant(1), 1)), (4, dictionary(raw([1, 2]), 2, [0, 1])),
                           (5, sparse(0, constant(1), [True, True])), (7, classes([1, 1], [1, 1, 1, 1], [0, 0]))):
        bad_integers(f"inner-{packing}", f"packing {packing} inside a block", dictionary(inner, 2, [0, 1]), 2)
    bad_integers("inner-group", "a prediction inside a block", dictionary(head(0, 2) + svarint(1), 2, [0, 1]), 2)
    bad_integers("class-width", "a class of 65 bits", head(7) + svarint(0) + bytes([65, 0, 0, 0]) + bytes(20), 2)
    bad_integers("class-bits", "left-over bits of a class", head(7) + svarint(0) + bytes([3, 0, 0, 0]) + b"\x00" + b"\xff", 2)


# Files: headers, CURRENT, frames

CONTEXT = {"store": STORE.hex(), "file": FILE}


def headers():
    for kind, name in ((1, "segment"), (2, "log"), (3, "manifest")):
        good(f"header-{name}", "header", f"header of a {name}", "H6", header(kind), kind=kind, **CONTEXT)
    good("header-minor", "header", "a later minor version and optional features", "H4", header(1, minor=9, optional=0xFFFFFFFF), kind=1, **CONTEXT)
    for required, name in ((1, "coded"), (2, "alternate"), (3, "coded-alternate"), (8, "factors"), (11, "coded-alternate-factors"),
                           (16, "lanes"), (17, "coded-lanes"), (27, "coded-alternate-factors-lanes"),
                           (32, "digits"), (33, "coded-digits"), (59, "coded-alternate-factors-lanes-digits"),
                           (64, "singles"), (72, "factors-singles"), (123, "coded-alternate-factors-lanes-digits-singles")):
        good(f"header-{name}", "header", f"required features {required}", "H4", header(1, required=required), kind=1, **CONTEXT)
    good("header-longer", "header", "what stands behind the header", "H1", header(2) + b"frames", kind=2, **CONTEXT)
    whole = header(1)
    bad("header-short", "header", "63 bytes", "H1", whole[:63], kind=1, **CONTEXT)
    bad("header-none", "header", "no bytes", "H1", b"", kind=1, **CONTEXT)
    vectors = [
        ("magic", "another magic", "H2", header(1, magic=MAGIC[:-1] + b"\x1b"), "foreign"),
        ("zeros", "zeros", "H2", bytes(64), "foreign"),
        ("checksum", "a checksum that does not match", "H3", header(1, flip=1), "corrupt"),
        ("major-2", "a newer major version", "H4", header(1, major=2), "newer"),
        ("major-2-reserved", "a newer major version with what is not known yet", "H4", header(9, major=2, reserved=7, required=1), "newer"),
        ("required", "an unknown required feature", "H4", header(1, required=1 << 31), "newer"),
        ("required-2", "the first required feature that is unknown", "H4", header(1, required=1 << 2), "newer"),
        ("required-7", "the second required feature that is unknown", "H4", header(1, required=1 << 7), "newer"),
        ("required-known-7", "unknown beside all known required features", "H4", header(1, required=251), "newer"),
        ("required-known-2", "unknown beside known required features", "H4", header(1, required=7), "newer"),
        ("major-0", "major version 0", "H5", header(1, major=0), "corrupt"),
        ("reserved", "the reserved byte", "H5", header(1, reserved=1), "corrupt"),
        ("kind-0", "an unknown kind", "H6", header(0), "corrupt"),
        ("kind-4", "an unknown kind", "H6", header(4), "corrupt"),
        ("other-kind", "a log where a segment is expected", "H6", header(2), "foreign"),
        ("other-store", "another store", "H7", header(1, store=bytes(16)), "foreign"),
        ("other-file", "another file", "H7", header(1, file=4), "foreign"),
    ]
    for name, title, rule, data, kind in vectors:
        vector(False, f"header-{name}", "header", title, rule, data, kind=1, **CONTEXT, error={"class": kind, "rule": rule})


def currents():
    fields = {"store": STORE.hex(), "manifest": 2, "length": 4096, "step": 9, "created": 1704067200000000000}
    good("current", "current", "a whole one", "M4", current(), expected=fields)
    good("current-before-1970", "current", "created before 1970", "M4", current(created=-1), expected={**fields, "created": -1})
    for name, title, data, kind in [
        ("magic", "another magic", current(magic=b"TAPECURS"), "foreign"),
        ("magic-short", "another magic, and too short", b"notTAPECURR", "foreign"),
        ("short", "63 bytes", current()[:63], "corrupt"),
        ("long", "65 bytes", current() + b"\0", "corrupt"),
        ("empty", "no bytes", b"", "corrupt"),
        ("checksum", "a checksum that does not match", current(flip=1 << 31), "corrupt"),
        ("format-2", "a newer format", current(form=2), "newer"),
        ("format-0", "a format that never was", current(form=0), "corrupt"),
        ("length-63", "fewer bytes than a header", current(length=63), "corrupt"),
        ("format-2-checksum", "a newer format, damaged", current(form=2, flip=1), "corrupt"),
    ]:
        bad(f"current-{name}", "current", title, "M4", data, kind)


def log_frames():
    def fine(name, title, rule, data, sequence, records):
        good(f"frames-{name}", "frames", title, rule, data, **CONTEXT, offset=64, sequence=sequence,
             records=[{"kind": kind, "hex": record.hex()} for kind, record in records])

    def broken(name, title, rule, data, sequence=5, kind="corrupt"):
        bad(f"frames-{name}", "frames", title, rule, data, kind, **CONTEXT, offset=64, sequence=sequence)

    one = [(1, b"one byte more", 0)]
    for length in (1, 7, 8, 9):
        fine(f"length-{length}", f"a payload of {length} bytes", "L2", frames(64, 5, [(2, bytes(range(length)), 4)]), 5, [(2, bytes(range(length)))])
    fine("none", "no frame", "L2", b"", 5, [])
    fine("unknown-sequence", "a first number that is not known", "L1", frames(64, 77, one), None, [(1, b"one byte more")])
    long = bytes(value % 251 for value in range(8168 * 2 + 5))
    fine("three", "a record of three frames", "L4", frames(64, 5, [(2, long, 0)]), 5, [(2, long)])
    fine("divided", "a record divided otherwise than a writer does", "L4", frames(64, 5, [(2, b"abcdefghij", 0), (1, b"k", 0)], size=3), 5,
         [(2, b"abcdefghij"), (1, b"k")])
    fine("kind-255", "the last kind", "L2", frames(64, 5, [(255, b"x", 0)]), 5, [(255, b"x")])
    full = frame(64, 2, 3, 5, 0, bytes(8168))
    fine("full", "a full frame", "L2", full, 5, [(2, bytes(8168))])
    padded_one = bytearray(frame(64, 2, 3, 5, 0, b"abc"))
    padded_one[27] = 9
    padded_one[:4] = u32(crc(64, bytes(padded_one[4:])))
    fine("padding", "padding that is not zero, under the checksum", "L2", bytes(padded_one), 5, [(2, b"abc")])

    broken("sequence", "a number is left out", "L1", frame(64, 2, 3, 6, 0, b"x"))
    broken("sequence-again", "a number comes twice", "L1", frame(64, 2, 3, 5, 0, b"x") + frame(96, 2, 3, 5, 0, b"x"))
    broken("zeros", "zeros", "L2", bytes(64))
    broken("kind-0", "kind 0", "L2", frame(64, 0, 3, 5, 0, b"x"))
    broken("length-0", "no payload", "L2", frame(64, 2, 3, 5, 0, b""))
    broken("length-8169", "a payload too long", "L2", frame(64, 2, 3, 5, 0, bytes(8169)))
    broken("flags", "an unknown flag", "L2", frame(64, 2, 7, 5, 0, b"x"))
    broken("cut", "the end is missing", "L2", frame(64, 2, 3, 5, 0, b"12345678")[:-1])
    broken("cut-header", "23 bytes", "L2", frame(64, 2, 3, 5, 0, b"12345678")[:23])
    broken("checksum", "a checksum that does not match", "L3", frame(64, 2, 3, 5, 0, b"x", flip=1))
    broken("moved", "a frame of another offset", "L3", frame(96, 2, 3, 5, 0, b"x"))
    other = u16(1) + bytes([2, 3]) + u64(5) + u64(0) + b"x" + bytes(7)
    broken("other-file", "a frame of another file", "L3", u32(crc(64, other, file=4)) + other)
    broken("other-store", "a frame of another store", "L3", u32(crc(64, other, store=bytes(16))) + other)
    broken("open", "a record begins in another one", "L4", frame(64, 2, 1, 5, 0, b"x") + frame(96, 2, 3, 6, 0, b"x"))
    broken("no-first", "a record without its first frame", "L4", frame(64, 2, 2, 5, 0, b"x"))
    broken("mixed", "kinds that change in a record", "L4", frame(64, 2, 1, 5, 0, b"x") + frame(96, 1, 2, 6, 0, b"x"))


# Records

COLUMNS = [(0, 2, 0, "price", "in the quote currency"), (1, 1, 1, "size", ""), (65534, 6, 1, "größe", "")]
SCHEMA_JSON = {"key": "unique", "columns": [
    {"id": number, "type": kind, "nullable": bool(nullable), "name": name, "description": text} for number, kind, nullable, name, text in COLUMNS]}


def schemas():
    good("schema-unique", "schema", "three columns", "A4", schema(1, COLUMNS), expected=SCHEMA_JSON)
    good("schema-sequence", "schema", "a sequence", "A4", schema(2, COLUMNS), expected={**SCHEMA_JSON, "key": []})
    good("schema-dedup", "schema", "a sequence with dedup columns", "A4", schema(2, COLUMNS, (65534, 0)), expected={**SCHEMA_JSON, "key": [65534, 0]})
    good("schema-empty", "schema", "no columns", "A4", schema(1, []), expected={"key": "unique", "columns": []})
    every = [(kind, kind, 0, f"c{kind}", "") for kind in range(1, 8)]
    good("schema-types", "schema", "every type", "A4", schema(1, every), expected={"key": "unique", "columns": [
        {"id": kind, "type": kind, "nullable": False, "name": f"c{kind}", "description": ""} for kind in range(1, 8)]})

    def broken(name, title, data):
        bad(f"schema-{name}", "schema", title, "W2", data)

    one = (0, 1, 0, "a", "")
    broken("key-0", "key 0", schema(0, COLUMNS))
    broken("key-3", "key 3", schema(3, COLUMNS))
    broken("type-0", "type 0", schema(1, [(0, 0, 0, "a", "")]))
    broken("type-8", "type 8", schema(1, [(0, 8, 0, "a", "")]))
    broken("nullable-2", "nullable 2", schema(1, [(0, 1, 2, "a", "")]))
    broken("same-id", "an id twice", schema(1, [one, (0, 1, 0, "b", "")]))
    broken("same-name", "a name twice", schema(1, [one, (1, 1, 0, "a", "")]))
    broken("ordinal", "id 65535", schema(1, [(65535, 1, 0, "a", "")]))
    for name in ("time", "source", "flags", "version"):
        broken(f"name-{name}", f"a column named {name}", schema(1, [(0, 1, 0, name, "")]))
    broken("name-empty", "an empty name", schema(1, [(0, 1, 0, "", "")]))
    broken("name-65", "a name of 65 bytes", schema(1, [(0, 1, 0, "n" * 65, "")]))
    broken("name-control", "a control character in a name", schema(1, [(0, 1, 0, "a\n", "")]))
    broken("name-utf8", "a name that is not UTF-8", schema(1, [(0, 1, 0, b"\xff", "")]))
    broken("description-513", "a description of 513 bytes", schema(1, [(0, 1, 0, "a", "d" * 513)]))
    broken("dedup-9", "nine dedup columns", u8(2) + u8(9) + b"".join(u16(n) for n in range(9)) + schema(1, [(n, 1, 0, f"c{n}", "") for n in range(9)])[1:])
    broken("dedup-unknown", "a dedup column that is none", schema(2, [one], (7,)))
    broken("cut", "the end is missing", schema(1, COLUMNS)[:-1])
    broken("columns-1025", "1025 columns", schema(1, [(n, 1, 0, f"c{n}", "") for n in range(1025)]))


def starts():
    data = u64(7) + u64(4096) + u64(12)
    good("start", "start", "a start record", "W1", data, expected={"previous_log": 7, "previous_end": 4096, "version": 12})
    bad("start-short", "start", "23 bytes", "W1", data[:-1])
    bad("start-long", "start", "25 bytes", "W1", data + b"\0")


def manifest_records():
    def fine(name, title, kind, data, expected):
        good(f"manifest-{name}", "manifest", title, "M3", data, kind=kind, expected=expected)

    def broken(name, title, kind, data):
        bad(f"manifest-{name}", "manifest", title, "M3", data, kind=kind)

    state = u64(4) + u64(3) + u64(1027) + u64(2) + u64(9)
    fine("state", "a state", 1, state, {"sealed_version": 4, "first_log": 3, "next_file": 1027, "floor": 2, "step": 9})
    fine("source", "a source", 2, u16(65535) + string("exchange"), {"id": 65535, "name": "exchange"})
    head = u32(5) + string("BTC.X") + string("1m")
    series = head + varint(3) + u64(1) + u8(1) + schema(1, COLUMNS) + u64(4) + u8(0) + u64(6) + u8(1) + schema(2, [])
    fine("series", "a series that was dropped and created again", 3, series, {"id": 5, "instrument": "BTC.X", "frame": "1m", "definitions": [
        [1, SCHEMA_JSON], [4, None], [6, {"key": [], "columns": []}]]})
    part = varint(1) + varint(0) + varint(100) + u64(T0) + u64(T0 + 5) + varint(0) + varint(3) + varint(9) + varint(0) + varint(700)
    old = varint(7) + varint(1) + varint(0) + u64(0) + u64(-1) + varint(2) + u64(5) + u64(6) + varint(1) + varint(1) + varint(4) + varint(80)
    segment_head = u64(4) + u64(1000) + u64(11) + u64(12) + u8(2)
    plain = {"history_rows": 0, "history_first_time": 0, "history_last_time": -1}
    fine("segment", "a segment of two parts", 4, segment_head + varint(2) + part + old, {
        "id": 4, "length": 1000, "hash": [11, 12], "level": 2, "parts": [
            {"series": 1, "part": 0, "rows": 100, "first_time": T0, "last_time": T0 + 5, **plain,
             "version_low": 3, "version_high": 9, "marks": 0, "bytes": 700},
            {"series": 7, "part": 1, "rows": 0, "first_time": 0, "last_time": -1, "history_rows": 2, "history_first_time": 5,
             "history_last_time": 6, "version_low": 1, "version_high": 1, "marks": 4, "bytes": 80}]})
    fine("remove", "a segment is removed", 5, u64(4), {"id": 4})
    fine("snapshot", "a snapshot", 6, string("frühling") + u64(12) + u64(-5), {"name": "frühling", "version": 12, "created": -5})
    fine("drop-snapshot", "a snapshot is dropped", 7, string("frühling"), {"name": "frühling"})

    broken("kind-8", "an unknown kind", 8, state)
    broken("state-short", "a state cut short", 1, state[:-1])
    broken("state-long", "a byte too many", 1, state + b"\0")
    broken("source-513", "a source's name of 513 bytes", 2, u16(0) + string("n" * 513))
    broken("source-utf8", "a name that is not UTF-8", 2, u16(0) + string(b"\xc3"))
    broken("series-order", "versions of definitions do not ascend", 3, head + varint(2) + u64(4) + u8(0) + u64(4) + u8(0))
    broken("series-present", "present is 2", 3, head + varint(1) + u64(4) + u8(2))
    broken("series-schema", "a schema that breaks its table", 3, head + varint(1) + u64(4) + u8(1) + schema(9, []))
    broken("series-nameless", "an instrument without a name", 3, u32(5) + string("") + string("1m") + varint(0))
    broken("series-frame", "a frame of 65 bytes", 3, u32(5) + string("i") + string("f" * 65) + varint(0))
    broken("series-instrument", "an instrument of 129 bytes", 3, u32(5) + string("i" * 129) + string("1m") + varint(0))
    broken("segment-order", "series do not ascend", 4, segment_head + varint(2) + old + part)
    broken("segment-count", "parts that are not there", 4, segment_head + varint(1 << 60) + part)
    reversed_part = varint(1) + varint(0) + varint(100) + u64(T0 + 5) + u64(T0) + varint(0) + varint(3) + varint(9) + varint(0) + varint(700)
    broken("segment-times", "a last time below the first", 4, segment_head + varint(1) + reversed_part)
    versions = varint(1) + varint(0) + varint(1) + u64(T0) + u64(T0) + varint(0) + varint(9) + varint(3) + varint(0) + varint(700)
    no_rows = varint(1) + varint(0) + varint(0) + u64(T0) + u64(T0) + varint(0) + varint(3) + varint(9) + varint(0) + varint(700)
    broken("segment-no-rows", "times of no rows", 4, segment_head + varint(1) + no_rows)
    old_times = varint(7) + varint(1) + varint(0) + u64(0) + u64(-1) + varint(2) + u64(6) + u64(5) + varint(1) + varint(1) + varint(4) + varint(80)
    broken("segment-old-times", "a last time of history below the first", 4, segment_head + varint(1) + old_times)
    broken("segment-versions", "a highest version below the lowest", 4, segment_head + varint(1) + versions)
    large = varint(1 << 32) + part[1:]
    broken("segment-series", "a series beyond 32 bits", 4, segment_head + varint(1) + large)


def transactions():
    lead = u64(9) + u64(T0) + u8(1) + string("why") + varint(3) + varint(2) + varint(1)
    base = {"version": 9, "time": T0, "kind": 1, "message": "why", "added": 3, "updated": 2, "deleted": 1}

    def fine(name, title, effects, expected):
        good(f"transaction-{name}", "transaction", title, "W2", lead + varint(len(effects)) + b"".join(effects), expected={**base, "effects": expected})

    def broken(name, title, data, rule="W2", kind="corrupt"):
        bad(f"transaction-{name}", "transaction", title, rule, data, kind)

    def one(name, title, effect, **other):
        broken(name, title, lead + varint(1) + effect, **other)

    fine("empty", "no effects", [], [])
    fine("source", "a source", [u8(1) + u16(3) + string("feed")], [{"effect": 1, "id": 3, "name": "feed"}])
    fine("define", "a definition", [u8(2) + u32(4) + string("BTC.X") + string("1m") + schema(1, COLUMNS)],
         [{"effect": 2, "series": 4, "instrument": "BTC.X", "frame": "1m", "schema": SCHEMA_JSON}])
    fine("drop", "a drop", [u8(3) + u32(4)], [{"effect": 3, "series": 4}])
    fine("marks", "every mark", [u8(5) + u32(4) + u8(kind) + u64(-kind) + u64(kind) for kind in (1, 2, 3)],
         [{"effect": 5, "series": 4, "kind": kind, "start": -kind, "end": kind} for kind in (1, 2, 3)])
    times = u32(3) + u64(-5) + u64(T0) + u64(T0 + 1)
    runs_of = varint(2) + varint(1) + u16(7) + varint(2) + u16(0) + varint(1) + varint(3) + u16(255)
    columns = [
        (0, 1, [1, -1, 1 << 62], b"".join(u64(v) for v in (1, -1, 1 << 62))),
        (1, 2, [f"{v:016x}" for v in (0x7FF0000000000001, 0x8000000000000000, 0x3FF8000000000000)],
         b"".join(u64(v) for v in (0x7FF0000000000001, 0x8000000000000000, 0x3FF8000000000000))),
        (2, 3, [f"{v:08x}" for v in (0x7F800001, 0, 0x3F800000)], b"".join(u32(v) for v in (0x7F800001, 0, 0x3F800000))),
        (3, 4, [0, 255, 1], bytes([0, 255, 1])),
        (4, 5, ["", "ä", "x" * 200], varint(0) + varint(2) + "ä".encode() + varint(200) + b"x" * 200),
        (65535, 1, [0, 1, 2], b"".join(u64(v) for v in (0, 1, 2))),
    ]
    data = u8(4) + u32(4) + times + runs_of + u16(len(columns) + 1)
    for number, kind, _, values in columns:
        data += u16(number) + u8(0) + u8(kind) + values
    data += u16(9) + u8(1) + bytes([0, 1, 9]) + u8(4) + bytes([5, 0, 0])
    expected = [{"id": number, "values": values} for number, _, values, _ in columns] + [{"id": 9, "values": [5, None, None]}]
    fine("rows", "rows with every physical type, nulls and the ordinal", [data],
         [{"effect": 4, "series": 4, "time": [-5, T0, T0 + 1], "source": [7, 0, 0], "flags": [255] * 3, "columns": expected}])
    none = u8(4) + u32(4) + u32(0) + varint(0) + varint(0) + u16(0)
    fine("no-rows", "rows without a row", [none], [{"effect": 4, "series": 4, "time": [], "source": [], "flags": [], "columns": []}])

    broken("kind-0", "an unknown kind", u64(9) + u64(T0) + u8(0) + string("") + varint(0) * 3 + varint(0))
    broken("kind-3", "an unknown kind", u64(9) + u64(T0) + u8(3) + string("") + varint(0) * 3 + varint(0))
    broken("message-513", "a message of 513 bytes", u64(9) + u64(T0) + u8(1) + string("m" * 513) + varint(0) * 3 + varint(0))
    broken("long", "a byte too many", lead + varint(0) + b"\0")
    broken("short", "an effect is missing", lead + varint(2) + u8(3) + u32(4))
    one("effect-0", "an unknown effect", u8(0) + u32(4))
    one("effect-6", "an unknown effect", u8(6) + u32(4))
    one("mark-0", "an unknown mark", u8(5) + u32(4) + u8(0) + u64(1) + u64(2))
    one("mark-4", "an unknown mark", u8(5) + u32(4) + u8(4) + u64(1) + u64(2))
    one("mark-empty", "an empty range", u8(5) + u32(4) + u8(1) + u64(2) + u64(2))
    one("times", "times that do not ascend", u8(4) + u32(4) + u32(2) + u64(2) + u64(1) + (varint(1) + varint(2) + u16(0)) * 2 + u16(0))
    one("runs-short", "runs that end early", u8(4) + u32(4) + u32(2) + u64(1) + u64(2) + (varint(1) + varint(1) + u16(0)) * 2 + u16(0))
    one("runs-zero", "a run of no rows", u8(4) + u32(4) + u32(1) + u64(1) + (varint(2) + varint(0) + u16(3) + varint(1) + u16(0)) * 2 + u16(0))
    row = u8(4) + u32(4) + u32(1) + u64(1) + (varint(1) + varint(1) + u16(0)) * 2
    one("nulls-2", "a nulls byte of 2", row + u16(1) + u16(0) + u8(2) + u8(4) + b"\1")
    one("type-0", "an unknown physical type", row + u16(1) + u16(0) + u8(0) + u8(0) + b"\1")
    one("type-6", "an unknown physical type", row + u16(1) + u16(0) + u8(0) + u8(6) + b"\1")
    one("string-4097", "a string of 4097 bytes", row + u16(1) + u16(0) + u8(0) + u8(5) + varint(4097) + b"x" * 4097)
    one("string-utf8", "a string that is not UTF-8", row + u16(1) + u16(0) + u8(0) + u8(5) + varint(1) + b"\xff")
    one("column-twice", "a column twice", row + u16(2) + (u16(0) + u8(0) + u8(4) + b"\1") * 2)
    one("instrument-129", "an instrument of 129 bytes", u8(2) + u32(4) + string("i" * 129) + string("1m") + schema(1, []))
    one("frame-65", "a frame of 65 bytes", u8(2) + u32(4) + string("i") + string("f" * 65) + schema(1, []))
    one("columns", "1026 columns", row + u16(1026) + b"".join(u16(n) + u8(0) + u8(4) + b"\1" for n in range(1026)), rule="W3", kind="limit")
    one("rows-count", "a count beyond the bytes", u8(4) + u32(4) + u32(0xFFFFFFFF) + u64(1))


from alternate import blocks as alternate_blocks, segments as alternate_segments  # noqa: E402
from digits import segments as digit_segments  # noqa: E402
from factors import segments as factor_segments  # noqa: E402
from lanes import segments as lane_segments  # noqa: E402
from segments import segments  # noqa: E402
from singles import segments as single_segments  # noqa: E402
from texts import texts  # noqa: E402
from stores import stores  # noqa: E402


def main():
    if sys.argv[1:] not in (["--check"], ["--write"]):
        sys.exit(__doc__)
    for make in (integer_blocks, headers, currents, log_frames, schemas, starts, manifest_records, transactions):
        make()
    alternate_blocks(integers, bad_integers, Noise)
    segments(good, bad, Noise)
    alternate_segments(good, bad, Noise)
    factor_segments(good, bad, Noise)
    lane_segments(good, bad, Noise)
    digit_segments(good, bad, Noise)
    single_segments(good, bad, Noise)
    stores(good, vector)
    texts(good, Noise)
    found = {f"{kind}/{name}" for kind in ("valid", "invalid") if os.path.isdir(f"{HERE}/{kind}") for name in os.listdir(f"{HERE}/{kind}")}
    if sys.argv[1] == "--write":
        for name in found - set(OUT):
            os.remove(f"{HERE}/{name}")
        for name, text in OUT.items():
            os.makedirs(os.path.dirname(f"{HERE}/{name}"), exist_ok=True)
            with open(f"{HERE}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        print(f"{len(OUT)} vectors")
        return
    differing = sorted(found ^ set(OUT))
    for name in found & set(OUT):
        with open(f"{HERE}/{name}", encoding="utf-8") as file:
            if file.read() != OUT[name]:
                differing.append(name)
    for name in differing:
        print(f"differs: {name}")
    print(f"{len(OUT)} vectors, {len(differing)} differ")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
