"""Bytes of the format, built field by field from the chapters of format-spec. Nothing here chooses: the caller says every width and flag."""

import struct
import zlib

MASK = (1 << 64) - 1
STORE = bytes(range(16))
FILE = 3


def wrap(value):
    """An integer as a signed one of 64 bits."""
    value &= MASK
    return value - (1 << 64) if value >> 63 else value


def varint(value):
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def zigzag(value):
    return (value << 1 ^ value >> 63) & MASK


def svarint(value):
    return varint(zigzag(value))


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<H", len(data)) + data


def u8(value):
    return struct.pack("<B", value)


def u16(value):
    return struct.pack("<H", value)


def u32(value):
    return struct.pack("<I", value)


def u64(value):
    return struct.pack("<Q", value & MASK)


def pack(numbers, width):
    """codecs.md, Bit packing."""
    total = 0
    for index, number in enumerate(numbers):
        assert 0 <= number < 1 << width or (width == 0 and number == 0)
        total |= number << index * width
    return total.to_bytes((len(numbers) * width + 7) // 8, "little")


def bits(value):
    return value.bit_length()


# checksum.md

def crc(position, data, store=STORE, file=FILE):
    prefix = store[:8] + u64(struct.unpack("<Q", store[8:])[0] ^ file)
    return zlib.crc32(prefix + u64(position) + data)


def padded(data, alignment):
    return data + bytes(-len(data) % alignment)


# segment.md, Header

MAGIC = bytes.fromhex("93544150450d0a1a")


def header(kind, file=FILE, store=STORE, major=1, minor=0, reserved=0, required=0, extra=bytes(16), optional=0, magic=MAGIC, flip=0):
    out = magic + bytes([kind, major, minor, reserved]) + u32(required) + store + u64(file) + extra + u32(optional)
    return out + u32(zlib.crc32(out) ^ flip)


# log.md

def frame(position, kind, flags, sequence, durable, payload, flip=0, length=None, file=FILE):
    body = u16(len(payload) if length is None else length) + bytes([kind, flags]) + u64(sequence) + u64(durable) + payload
    body += bytes(-(len(body) + 4) % 8)
    return u32(crc(position, body, file=file) ^ flip) + body


def frames(position, sequence, records, size=8168, file=FILE):
    """Records (kind, bytes, durable) as frames with at most `size` bytes of payload."""
    out = b""
    for kind, record, durable in records:
        pieces = [record[at:at + size] for at in range(0, len(record), size)]
        for index, piece in enumerate(pieces):
            flags = (1 if index == 0 else 0) | (2 if index == len(pieces) - 1 else 0)
            out += frame(position + len(out), kind, flags, sequence, durable, piece, file=file)
            sequence += 1
    return out


# manifest.md

def current(store=STORE, form=1, manifest=2, length=4096, step=9, created=1704067200000000000, magic=b"TAPECURR", flip=0):
    out = magic + u32(form) + store + u64(manifest) + u64(length) + u64(step) + u64(created)
    return out + u32(zlib.crc32(out) ^ flip)


# schema.md

def schema(key, columns, dedup=()):
    out = u8(key)
    if key == 2:
        out += u8(len(dedup)) + b"".join(u16(column) for column in dedup)
    out += u16(len(columns))
    for number, kind, nullable, name, description in columns:
        out += u16(number) + u8(kind) + u8(nullable) + string(name) + string(description)
    return out


# codecs.md, Integer blocks

def head(packing, transform=0, zigzagged=False, multiplier=None, first=0, reserved=0, second=0):
    out = u8(packing | transform << 3 | zigzagged << 5 | (multiplier is not None) << 6 | reserved << 7)
    if transform in (1, 3):
        out += svarint(first)
    if transform == 3:
        out += svarint(second)
    if multiplier is not None:
        out += varint(multiplier)
    return out


def packed(offsets, width, base=0, **form):
    return head(1, **form) + svarint(base) + u8(width) + pack(offsets, width)


def patched(offsets, low, high, base=0, **form):
    """Every offset beyond `low` bits becomes a patch; at least the first one is one."""
    places = [index for index, offset in enumerate(offsets) if offset >> low] or [0]
    width = bits(len(offsets) - 1)
    out = head(2, **form) + svarint(base) + u8(low) + u8(high) + varint(len(places)) + pack(places, width)
    out += pack([offsets[place] >> low for place in places], high)
    return out + pack([offset & (1 << low) - 1 for offset in offsets], low)


def constant(value, **form):
    return head(0, **form) + svarint(value)


def raw(numbers, **form):
    return head(6, **form) + b"".join(u64(number) for number in numbers)


def runs(values, lengths, count, **form):
    return head(3, **form) + varint(count) + values + lengths


def dictionary(values, count, codes, width=None, **form):
    return head(4, **form) + varint(count) + values + pack(codes, bits(count - 1) if width is None else width)


def sparse(default, values, taken, others=None, **form):
    """`values` is the inner block; `taken` tells for each row whether it has a value of it."""
    out = head(5, **form) + svarint(default) + varint(sum(taken) if others is None else others)
    return out + pack([int(bit) for bit in taken], 1) + values


def classes(offsets, widths, selectors, base=0, **form):
    out = head(7, **form) + svarint(base) + bytes(widths) + pack(selectors, 2)
    for number, width in enumerate(widths):
        out += pack([offset for offset, selector in zip(offsets, selectors) if selector == number], width)
    return out


# codecs.md, Coded blocks

def model(log, bins, count=None):
    """Bins are (places, width, lower, frequency)."""
    out, last = u8(log) + varint(len(bins) if count is None else count), 0
    for places, width, lower, frequency in bins:
        out += u8(places) + u8(width) + svarint(wrap(lower - last)) + varint(frequency - 1)
        last = lower
    return out


def coded(log, bins, chosen, begin=1 << 16, state=None, words=None, **form):
    """Numbers given as (bin, offset), coded from the last to the first."""
    starts = [sum(b[3] for b in bins[:at]) for at in range(len(bins))]
    at, pushed = begin, []
    for number, _ in reversed(chosen):
        frequency = bins[number][3]
        if at >= frequency << 32 - log:
            pushed.append(at & 0xFFFF)
            at >>= 16
        at = (at // frequency << log) + starts[number] + at % frequency
    total, held = 0, 0
    for number, offset in chosen:
        assert offset >> bins[number][1] == 0
        total |= offset << held
        held += bins[number][1]
    out = varint(len(pushed) if words is None else words) + u32(at if state is None else state)
    return head(0, reserved=1, **form) + out + b"".join(u16(word) for word in reversed(pushed)) + total.to_bytes((held + 7) // 8, "little")


def binned(bins, chosen):
    """The numbers; bins have places, width and lower, those of one lane a frequency as well."""
    return [wrap((bins[number][2] + offset) * 10 ** bins[number][0]) for number, offset in chosen]


# codecs.md, Coded blocks in lanes

NO_MEMORY, PAIR, MEAN_1, MEAN_2, MEAN_3 = range(5)


def ended(pairs):
    """Numbers of differing widths end to end, as (number, width)."""
    total, held = 0, 0
    for number, width in pairs:
        assert 0 <= number < 1 << width or number == width == 0
        total |= number << held
        held += width
    return total.to_bytes((held + 7) // 8, "little")


class Lanes:
    """A model in lanes: bins are (places, width, lower), `tables` a list of frequencies for each table."""

    def __init__(self, log, bins, tables, memory=NO_MEMORY, classes=0, of_bins=(), of_states=()):
        self.log, self.bins, self.tables, self.memory = log, bins, tables, memory
        self.classes, self.of_bins, self.of_states = classes, list(of_bins), list(of_states)
        self.coders = [self.coder(frequencies) for frequencies in tables]

    def content(self, **lies):
        """The bytes; what is named in `lies` stands there instead: a number, or the bytes of a block, of tables a list of blocks."""
        out, last = u8(lies.get("log", 128 + self.log)) + varint(lies.get("bins", len(self.bins))), 0
        for places, width, lower in self.bins:
            out += u8(places) + u8(width) + svarint(wrap(lower - last))
            last = lower
        out += u8(lies.get("memory", self.memory))
        if self.memory:
            out += u8(lies.get("classes", self.classes)) + u8(lies.get("tables", len(self.tables)))
            out += lies.get("of_bins") or packed(self.of_bins, bits(max(self.of_bins)))
            out += lies.get("of_states") or packed(self.of_states, bits(max(self.of_states)))
        return out + b"".join(lies.get("frequencies") or [packed(table, bits(max(table))) for table in self.tables])

    def coder(self, frequencies):
        """For each bin the states that stand for it: (state, bits that are read, base)."""
        size = 1 << self.log
        spread, at = [None] * size, 0
        for number, frequency in enumerate(frequencies):
            for _ in range(frequency):
                spread[at % size] = number
                at = (at + size // 2 + size // 8 + 3) % size
        seen, out = list(frequencies), [[] for _ in frequencies]
        for state, number in enumerate(spread):
            if number is not None:
                share = seen[number]
                seen[number] += 1
                width = self.log - (bits(share) - 1)
                out[number].append((state, width, (share << width) - size))
        return out

    def next(self, state, number):
        """The state of the memory after a bin."""
        if self.memory == NO_MEMORY:
            return 0
        c = self.of_bins[number]
        if self.memory == PAIR:
            return state % self.classes * self.classes + c
        shift = self.memory - 1
        return state + c - (state + (1 << shift - 1) >> shift)

    def codes(self, numbers, ends=(0, 0, 0, 0)):
        """The codes of bins as (number, width), in the order in which they are read; each lane is coded from its last number to its first."""
        quarter = -(-len(numbers) // 4)
        read, begins = {}, list(ends)
        for lane in range(4):
            rows = range(lane * quarter, min((lane + 1) * quarter, len(numbers)))
            memories = [0]
            for row in rows:
                memories.append(self.next(memories[-1], numbers[row]))
            for row, memory in reversed(list(zip(rows, memories))):
                coder = self.coders[self.of_states[memory] if self.memory else 0]
                for state, width, base in coder[numbers[row]]:
                    if base <= begins[lane] < base + (1 << width):
                        read[row - lane * quarter, lane] = begins[lane] - base, width
                        begins[lane] = state
                        break
                else:
                    raise AssertionError(f"bin {numbers[row]} does not occur")
        return [(state, self.log) for state in begins] + [read[key] for key in sorted(read)]

    def pieces(self, chosen, ends=None):
        """Codes and offsets of numbers given as (bin, offset); the states in which lanes end tell the first four bytes of the offsets."""
        offsets = ended([(offset, self.bins[number][1]) for number, offset in chosen])
        return ended(self.codes([number for number, _ in chosen], ends or (offsets + bytes(4))[:4])), offsets[4:]

    def coded(self, chosen, ends=None, **form):
        """A block."""
        return head(0, reserved=1, **form) + b"".join(self.pieces(chosen, ends))


def place(offsets, base=0, zigzagged=False, multiplier=1):
    def one(offset):
        if zigzagged:
            offset = offset >> 1 ^ -(offset & 1)
        return wrap(base + multiplier * wrap(offset))
    return [one(offset) for offset in offsets]


def summed(first, numbers):
    out = []
    for number in numbers:
        first = wrap(first + number)
        out.append(first)
    return out


def alternated(first, second, numbers):
    """codecs.md, transform 3: each is added to the one two before."""
    sums, out = [first, second], []
    for row, number in enumerate(numbers):
        sums[row % 2] = wrap(sums[row % 2] + number)
        out.append(sums[row % 2])
    return out


def nulls(flags):
    """codecs.md, Nulls: of one block."""
    if not any(flags):
        return b"\0"
    return b"\2" if all(flags) else b"\1" + pack([int(flag) for flag in flags], 1)


def scale(exponent, divisor):
    return u8(exponent) + varint(divisor)


def exceptions(count, positions, corrections, stated=None):
    out = varint(len(positions) if stated is None else stated) + pack(positions, bits(count - 1))
    return out + b"".join(svarint(correction) for correction in corrections)


# segment.md

def sealed(position, content, size=8188):
    out = b""
    for at in range(0, len(content), size):
        page = content[at:at + size]
        out += page + u32(crc(position + len(out), page))
    return out


def with_magic(magic, fields, lie=0):
    return magic + u32(len(fields) + 8 + lie) + fields


class Column:
    """An entry of a chunk's head and the bytes behind it."""

    def __init__(self, code, kind, encoding, parameters=b"", blocks=(), flags=0, zones=None, heap=None, long=False, lie=0, page=8188, model=None):
        self.code, self.kind, self.encoding, self.parameters = code, kind, encoding, parameters
        self.blocks, self.zones = list(blocks), zones
        self.sealed = [content for content in (heap, model) if content is not None]
        self.flags = flags | (4 if zones is not None else 0) | (8 if long else 0)
        self.long, self.lie, self.page = long, lie, page

    def begins(self, end):
        return end + (-end % 64 if self.encoding == 2 else 0)

    def size(self):
        return sum(len(sealed(0, content, self.page)) for content in self.sealed) + sum(len(block) for block in self.blocks)

    def entry(self, position):
        """The entry, and the bytes at `position`."""
        out = varint(self.code) + u8(self.kind) + u8(self.encoding) + u8(self.flags) + self.parameters
        if self.zones is not None:
            out += varint(len(self.zones)) + self.zones
        data = b""
        for content in self.sealed:
            data += sealed(position + len(data), content, self.page)
        if self.encoding > 2:
            out += b"".join((u32 if self.long else u16)(len(block) + self.lie) for block in self.blocks)
        for block in self.blocks:
            for at in range(0, len(block), 8192):
                unit = block[at:at + 8192]
                out += u32(crc(position + len(data), unit))
                data += unit
        return out, data


def system(code, value):
    return Column(code, 1, 1, svarint(value))


def times(values):
    """The times of a chunk, 1024 a block, eight bytes each."""
    return Column(0, 1, 3, b"", [raw(values[at:at + 1024]) for at in range(0, len(values), 1024)])


class Chunk:
    """A chunk of one stream: its times and its columns, those of the system included."""

    def __init__(self, time, columns, stream=0, number=0, first_row=0, **lies):
        self.time, self.columns, self.stream, self.number, self.first_row = time, columns, stream, number, first_row
        self.lies = lies

    def encode(self, series, position):
        fields = varint(series) + u8(self.stream) + varint(self.number) + varint(self.first_row)
        first = self.time[0] + self.lies.get("first", 0)
        fields += varint(self.lies.get("rows", len(self.time))) + svarint(first) + varint(self.time[-1] - first)
        fields += varint(self.lies.get("entries", len(self.columns)))
        extra = self.lies.get("extra", b"")
        size = len(fields) + sum(len(column.entry(0)[0]) for column in self.columns) + len(extra) + 8
        end = position + size + 4 * -(-size // 8188)
        data = b""
        start = end
        for column in self.columns:
            begin = column.begins(end)
            entry, content = column.entry(begin)
            fields += entry
            data += bytes(begin - end) + content
            end = begin + len(content)
        assert end == start + len(data)
        content = with_magic(self.lies.get("magic", b"TCHK"), fields + extra, self.lies.get("length", 0))
        return sealed(position, content) + data


class Part:
    """A part: chunks, marks (kind, start, end, version), blocks of runs (first slot, gaps, lengths)."""

    def __init__(self, series, columns, chunks, versions=(1, 1), marks=(), bits=0, timeframe=None, ohlc=None, grid_rows=0, run_blocks=(), **lies):
        self.series, self.columns, self.chunks, self.versions = series, columns, chunks, versions
        self.marks, self.bits, self.timeframe, self.ohlc = marks, bits, timeframe, ohlc
        self.grid_rows, self.run_blocks, self.lies = grid_rows, run_blocks, lies

    def encode(self, position):
        """The bytes, and where the index begins."""
        assert position % 64 == 0
        data, places = b"", []
        for chunk in self.chunks:
            data = padded(data, 64)
            places.append(len(data) // 64)
            data += chunk.encode(self.series, position + len(data))
        index = position + len(data)
        flags = self.bits | (2 if self.timeframe else 0) | (4 if self.ohlc else 0)
        out = varint(self.series) + u8(self.lies.get("bits", flags))
        if self.timeframe:
            out += u8(self.timeframe)
        out += varint(len(self.columns)) + b"".join(varint(number) + u8(kind) for number, kind in self.columns)
        if self.ohlc:
            out += b"".join(varint(number) for number in self.ohlc)
        out += varint(self.versions[0]) + varint(self.versions[1] - self.versions[0]) + varint(self.grid_rows)
        for stream in (0, 1):
            chosen = [(place, chunk) for place, chunk in zip(places, self.chunks) if chunk.stream == stream]
            out += varint(len(chosen))
            last = 0
            for place, chunk in chosen:
                first = chunk.time[0] + chunk.lies.get("first", 0)
                out += varint(chunk.lies.get("place", place)) + varint(len(chunk.time)) + svarint(first - last)
                out += varint(chunk.time[-1] - first + self.lies.get("span", 0))
                last = chunk.time[-1]
        out += varint(len(self.marks))
        for kind, start, end, version in self.marks:
            out += u8(kind) + svarint(start) + varint(end - start) + varint(version)
        blocks = [block[1] for block in self.run_blocks]
        out += varint(len(blocks))
        # The checksums of the runs stand in the index, whose length does not depend on them.
        size = len(out) + 8 + len(self.lies.get("extra", b""))
        last, entries = 0, []
        for (first, block, count, covered) in self.run_blocks:
            entries.append(svarint(first - last) + varint(count) + varint(covered) + varint(len(block)))
            size += len(entries[-1]) + 4
            last = first
        at = index + size + 4 * -(-size // 8188)
        for entry, block in zip(entries, blocks):
            out += entry + u32(crc(at, block))
            at += len(block)
        content = with_magic(self.lies.get("magic", b"TIDX"), out + self.lies.get("extra", b""), self.lies.get("length", 0))
        return data + sealed(index, content) + b"".join(blocks), index


def segment(parts, footer_flip=0, entry_flip=0, head=None, **lies):
    """A whole segment."""
    out = header(1) if head is None else head
    entries = []
    for part in parts:
        out = padded(out, 64)
        position = len(out)
        data, index = part.encode(position)
        out += data
        entries.append((part.series, position + part.lies.get("start", 0), index + part.lies.get("index", 0)))
    out += bytes([lies.get("padding", 0)] * (-len(out) % 64))
    out += bytes(lies.get("hole", 0))
    table = len(out)
    for series, position, index in entries:
        entry = u32(series) + u32(lies.get("zero", 0)) + u64(position) + u64(index) + u32(0)
        out += entry + u32(crc(len(out), entry) ^ entry_flip)
    out = padded(out, 64)
    footer = lies.get("footer", b"TAPE-END") + u64(table) + u64(len(out) + 64 + lies.get("length", 0)) + u32(len(entries))
    footer += bytes(32)
    return out + footer + u32(crc(len(out), footer) ^ footer_flip)
