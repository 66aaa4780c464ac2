"""What all structures share: errors, limits, bounded reading of bytes, checksums, the header of files.

Rules: H1 to H7, X1, S5 to S7; the conventions of README.md.
"""

import struct
import zlib

BLOCK_ROWS = 1024
CHUNK_ROWS = 65536
CHECKED_BYTES = 8192
ALIGNMENT = 64
INSTRUMENT_BYTES = 128
NAME_BYTES = 64
DESCRIPTION_BYTES = 512
NOTE_BYTES = 512
RECORD_BYTES = 1 << 31
COLUMNS = 1024
PART_COLUMNS = 4096
DEDUP_COLUMNS = 8
STRING_BYTES = 4096
HEAP_BYTES = 69634
SERIES = 1 << 24
PART_ROWS = 1 << 32
TIME_MIN = -9 * 10**18
TIME_MAX = 9 * 10**18
ORDINAL = 65535

MASK = (1 << 64) - 1
TOP = 1 << 63

SEGMENT, LOG, MANIFEST = 1, 2, 3
CODED, ALTERNATE, FACTORED, LANES, DIGITAL, SINGLED = 1, 2, 8, 16, 32, 64  # the required feature bits that are known
MODEL_BYTES, LANES_BYTES = 15363, 65536
MAGIC = bytes.fromhex("93544150450d0a1a")


class Damage(Exception):
    """Bytes that break a rule, with where and which (I13)."""

    def __init__(self, file, offset, rule, detail, kind="corrupt"):
        super().__init__(f"{file} at {offset}: {rule}: {detail} ({kind})")
        self.file, self.offset, self.rule, self.detail, self.kind = file, offset, rule, detail, kind


class Missing(Exception):
    """No store, or no series, snapshot or version of that name."""


def wrap(number):
    """The signed 64-bit integer that an integer wraps to."""
    return ((number + TOP) & MASK) - TOP


def wrap_all(numbers):
    if numbers and (min(numbers) < -TOP or max(numbers) >= TOP):
        return [((number + TOP) & MASK) - TOP for number in numbers]
    return numbers


class Cursor:
    """Reads fields in order; nothing past the end. An error names the rule of the structure."""

    __slots__ = ("data", "pos", "end", "file", "base", "rule")

    def __init__(self, data, file, base, rule, pos=0, end=None):
        self.data, self.file, self.base, self.rule = data, file, base, rule
        self.pos, self.end = pos, len(data) if end is None else end

    def fail(self, detail, rule=None, kind="corrupt"):
        raise Damage(self.file, self.base + self.pos, rule or self.rule, detail, kind)

    def left(self):
        return self.end - self.pos

    def take(self, size):
        if size > self.end - self.pos:
            self.fail(f"{size} bytes wanted, {self.end - self.pos} left")
        self.pos += size
        return self.data[self.pos - size:self.pos]

    def number(self, form, size):
        if size > self.end - self.pos:
            self.fail(f"{size} bytes wanted, {self.end - self.pos} left")
        self.pos += size
        return struct.unpack_from(form, self.data, self.pos - size)[0]

    def u8(self):
        return self.number("<B", 1)

    def u16(self):
        return self.number("<H", 2)

    def u32(self):
        return self.number("<I", 4)

    def u64(self):
        return self.number("<Q", 8)

    def i64(self):
        return self.number("<q", 8)

    def varint(self):
        """LEB128: at most ten bytes, the tenth at most 1."""
        value, shift, data, pos = 0, 0, self.data, self.pos
        while pos < self.end:
            byte = data[pos]
            pos += 1
            value |= (byte & 127) << shift
            if byte < 128:
                if shift == 63 and byte > 1:
                    break
                self.pos = pos
                return value
            shift += 7
            if shift > 63:
                break
        self.fail("malformed varint")

    def svarint(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def text(self, data):
        try:
            return str(data, "utf-8")
        except UnicodeDecodeError:
            self.fail("not UTF-8")

    def string(self, limit):
        size = self.u16()
        if size > limit:
            self.fail(f"a string of {size} bytes, at most {limit}")
        return self.text(bytes(self.take(size)))

    def done(self):
        if self.pos != self.end:
            self.fail(f"{self.end - self.pos} bytes left over")


class File:
    """The bytes of a file, with what its checksums are seeded with."""

    def __init__(self, name, data, store, id):
        self.name, self.data, self.store, self.id = name, data, store, id
        self.prefix = zlib.crc32(seed(store, id))
        self.touched = None                     # for verification: the ranges of bytes that belong to something

    def fail(self, offset, rule, detail, kind="corrupt"):
        raise Damage(self.name, offset, rule, detail, kind)

    def crc(self, position, data):
        return zlib.crc32(data, zlib.crc32(struct.pack("<Q", position), self.prefix))

    def touch(self, start, end):
        if self.touched is not None:
            self.touched.add((start, end))

    def cut(self, start, end, rule="S4"):
        if not 0 <= start <= end <= len(self.data):
            self.fail(start, rule, f"bytes {start} to {end} of {len(self.data)}")
        return self.data[start:end]

    def checked(self, start, end, crc, rule="S5"):
        data = self.cut(start, end)
        if self.crc(start, data) != crc:
            self.fail(start, rule, "checksum does not match")
        self.touch(start, end)
        return data

    def sealed(self, start, size):
        """S6: content of `size` bytes in pages; gives it and the end of the last page."""
        pages = []
        while size > 0:
            part = min(size, 8188)
            page = self.cut(start, start + part + 4)
            if self.crc(start, page[:part]) != int.from_bytes(page[part:], "little"):
                self.fail(start, "S5", "checksum of a page does not match")
            self.touch(start, start + part + 4)
            pages.append(page[:part])
            start, size = start + part + 4, size - part
        return b"".join(pages), start

    def sealed_with_magic(self, start, magic):
        """S7: content, and where it ends."""
        begin = self.cut(start, start + 8)
        size = int.from_bytes(begin[4:], "little")
        if begin[:4] != magic or size < 8:
            self.fail(start, "S7", f"no {magic.decode()} here")
        if size + 4 * -(-size // 8188) > len(self.data) - start:
            self.fail(start, "S4", "pages run past the end of the file")
        content, end = self.sealed(start, size)
        return Cursor(content, self.name, start, "S9", 8), end

    def header(self, kind):
        """Rules H, in their order."""
        data = self.data[:64]
        if len(data) < 64:
            self.fail(0, "H1", f"{len(data)} bytes")
        if data[:8] != MAGIC:
            self.fail(0, "H2", "magic", "foreign")
        if zlib.crc32(data[:60]) != int.from_bytes(data[60:], "little"):
            self.fail(60, "H3", "checksum of the header does not match")
        self.features = int.from_bytes(data[12:16], "little")
        if data[9] > 1 or self.features & ~(CODED | ALTERNATE | FACTORED | LANES | DIGITAL | SINGLED):
            self.fail(9, "H4", "major version or required features", "newer")
        if data[9] == 0 or data[11]:
            self.fail(9, "H5", "major version 0 or reserved byte")
        if data[8] not in (1, 2, 3):
            self.fail(8, "H6", f"kind {data[8]}")
        if data[8] != kind:
            self.fail(8, "H6", f"kind {data[8]}, expected {kind}", "foreign")
        if data[16:32] != self.store or int.from_bytes(data[32:40], "little") != self.id:
            self.fail(16, "H7", "another store or file id", "foreign")
        if kind == SEGMENT and data[40:56] != bytes(16):
            self.fail(40, "S1", "numbers without meaning are not zero")
        self.touch(0, 64)


def seed(store, id):
    """checksum.md: identity of the store, its last eight bytes XORed with the file id."""
    return store[:8] + struct.pack("<Q", int.from_bytes(store[8:16], "little") ^ id)


def file_name(kind, id):
    """D1."""
    return f"{kind}-{id:012}.tape"
