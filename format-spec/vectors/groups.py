"""What the vectors of groups share: columns that predict one another, with something behind their mantissas, and what may be wrong with them."""

import struct

from encode import *  # noqa: F403
from segments import CONTEXT, F64, I64, STRING, T0, bits_of, blocks, chunk_of, decimal_bits, one_column, rows_of

CLOSE, OPEN, HIGH, LOW = range(4)
ORDER = (OPEN, HIGH, LOW, CLOSE)               # of the columns 0 to 3
NAMES = {CLOSE: "close", OPEN: "open", HIGH: "high", LOW: "low"}
LEAST, MOST = -1 << 63, (1 << 63) - 1


class Group:
    """Bars, by role: mantissas `m`, and for each block what is `told` behind them."""

    flags = required = 0                        # flags of its columns, and the feature bits of its file
    further = b""                               # parameters of its columns behind the scale

    def __init__(self, m, told, exponent, divisor):
        self.m, self.told, self.exponent, self.divisor = m, told, exponent, divisor
        self.count = len(m[CLOSE])
        assert len(told) == -(-self.count // 1024)

    def parameters(self, role):
        return self.scaled(role, self.further)

    def scaled(self, role, further=b""):
        return u8(role) + scale(self.exponent, self.divisor) + further

    def data(self, role, mantissas=None, behind=None, block=0):
        """A block; what is given stands there instead."""
        out = raw(blocks(self.m[role])[block]) if mantissas is None else mantissas
        return out + (self.behind(role, block) if behind is None else behind)

    def column(self, role, data=None, flags=0, parameters=None, **other):
        data = [self.data(role, block=block) for block in range(len(self.told))] if data is None else data
        return Column(8 + ORDER.index(role), F64, 5, self.parameters(role) if parameters is None else parameters, data, self.flags | flags, **other)

    def modelled(self, role, data, model, flags=0, **other):
        """A column of one block whose mantissas are coded."""
        return self.column(role, [data], 32 | flags, self.parameters(role) + varint(len(model)), model=model, **other)

    def plain(self, role, flags=0, behind=b"", further=b""):
        """A column with the same mantissas in one block, which is of no such group: by its flags there is something else behind them, or nothing."""
        return Column(8 + ORDER.index(role), F64, 5, self.scaled(role, further), [raw(self.m[role]) + behind], flags)

    def excepted(self, wanted):
        """Columns of one block in which rows are exceptions, and all their values: by role the values of rows."""
        columns, values = {}, {}
        for role, of_rows in wanted.items():
            values[role] = self.values(role)
            fixes = [wrap(found - values[role][row]) for row, found in of_rows.items()]
            columns[role] = self.column(role, [self.data(role) + exceptions(self.count, list(of_rows), fixes)], 2)
            for row, found in of_rows.items():
                values[role][row] = found
        return columns, values

    def decimals(self, role):
        """The values of a column with nothing behind its mantissas."""
        return [decimal_bits(m, self.exponent, self.divisor, F64) for m in self.m[role]]

    def file(self, columns=None, required=None, more=(), entries=ORDER):
        """The bytes of a segment; columns that are given stand there instead, more columns behind them."""
        columns = [(columns or {}).get(role) or self.column(role) for role in entries] + [column for column, _ in more]
        kinds = [F64] * 4 + [column.kind for column, _ in more]
        part = Part(1, list(enumerate(kinds)), [chunk_of(columns, self.count)], ohlc=(0, 1, 2, 3))
        return segment([part], head=header(1, required=self.required if required is None else required))

    def segment(self, columns=None, values=None, more=(), **other):
        """The bytes of a segment, and what it holds; values that are given stand there instead."""
        values = [(F64, (values or {}).get(role) or self.values(role)) for role in ORDER] + [(column.kind, some) for column, some in more]
        time = [T0 + row for row in range(self.count)]
        return self.file(columns, more=more, **other), {"parts": [{"series": 1, "live": rows_of(time, values), "history": [], "marks": []}]}


def predicted(role, m):
    """Mantissas with transform group, by their residuals."""
    if role == OPEN:
        before = [m[CLOSE][0], *m[CLOSE][:-1]]
        return raw([wrap(o - b) for o, b in zip(m[OPEN], before)], transform=2)
    if role == HIGH:
        return raw([wrap(h - max(pair)) for h, *pair in zip(m[HIGH], m[OPEN], m[CLOSE])], transform=2)
    return raw([wrap(min(pair) - l) for l, *pair in zip(m[LOW], m[OPEN], m[CLOSE])], transform=2)


def floats(values):
    return [struct.unpack("<d", struct.pack("<Q", value & MASK))[0] for value in values]


def total(values):
    """The sum of a zone map: one after another."""
    out = 0.0
    for value in values:
        out += value
    return struct.pack("<d", out)


def zones(values, low, high, exponent=2, divisor=1, nans=None):
    """Zone maps of one block, with mantissas for the bounds, and exceptions that make the bounds of them."""
    known = [value for value in floats(values) if value == value]
    out = constant(low) + constant(high - low)
    for bound, mantissa in ((min(known), low), (max(known), high)):
        fix = wrap(bits_of(bound) - decimal_bits(mantissa, exponent, divisor, F64))
        out += exceptions(1, [0], [fix]) if fix else exceptions(1, [], [])
    return out + total(known) + (b"" if nans is None else constant(nans))


def stated(low, high, values):
    """Zone maps of one block, whose bounds are those of mantissas, whatever the values are."""
    return constant(low) + constant(high - low) + exceptions(1, [], []) * 2 + total(values)


def valid(good, prefix, usual):
    """What makes valid vectors whose names begin so, most of them about one rule: from bytes and what they hold, and from bars."""
    def fine(name, title, data, expected, rule=usual):
        good(f"{prefix}-{name}", "segment", title, rule, data, **CONTEXT, expected=expected)

    def fine_bars(name, title, some, rule=usual, **other):
        fine(name, title, *some.segment(**other), rule)

    return fine, fine_bars


def invalid(bad, prefix, usual, some):
    """What makes invalid vectors whose names begin so, most of them about one rule, and of some bars if no others are given."""
    def wrong(name, title, rule=usual, also=None, of=some, **other):
        bad(f"{prefix}-{name}", "segment", title, rule, of.file(**other), also=also, **CONTEXT)

    def behind(name, title, fields, role=CLOSE, rule=usual, flags=0, **other):
        """What stands behind the mantissas of one column."""
        wrong(name, title, rule, columns={role: some.column(role, [some.data(role, behind=fields)], flags)}, **other)

    def head(name, title, rule=usual, **other):
        """What the head of a chunk alone tells: S16 may be named as well."""
        wrong(name, title, rule, ["S16"], **other)

    return wrong, behind, head


def elsewhere(bad, prefix, what, flags, required, decimals):
    """Flags of a group at columns that are of none, decimals of any kind among them."""
    for name, title, kind, encoding, parameters, data in [
        ("null", "a column that is null", F64, 0, b"", []),
        ("constant", "a constant", F64, 1, bytes(8), []),
        ("raw", "raw values", F64, 2, b"", [bytes(40)]),
        ("integers", "integers", I64, 3, b"", [constant(0) + varint(0)]),
        ("integers-f64", "floats as integers", F64, 3, b"", [constant(0) + varint(0)]),
        ("split", "split floats", F64, 6, u8(8), [constant(0) + bytes(5)]),
        ("dictionary", "a dictionary", STRING, 7, varint(1) + varint(2), [constant(0)]),
        ("text", "texts", STRING, 8, b"", [constant(0)]),
        *((name, title, kind, 4, parameters, data) for name, title, kind, parameters, data in decimals),
    ]:
        heap = varint(1) + b"x" if encoding == 7 else None
        data = one_column(kind, [0] * 5 if kind != STRING else [""] * 5, encoding, parameters, data, flags, required=required, heap=heap)[0]
        bad(f"{prefix}-{name}", "segment", f"{what} {title}", "S20", data, also=["S16"], **CONTEXT)
