"""Test vectors, fed to the decoders one by one: vectors/README.md, conformance/README.md. Gives what a vector states, or raises Damage."""

import os
import struct
import tempfile

from . import codecs, logs, text
from .basics import Cursor, File
from .segment import FIRST_COLUMN, F32, F64, FLAGS, SOURCE, STRING, UNTIL, VERSION, Segment
from .store import Store
from .verify import Findings, verify
from .verify import segment as verify_segment


def decode(vector):
    """The field `values`, `records` or `expected` of a vector that is sound; an empty object for a header."""
    structure, data = vector["structure"], bytes.fromhex(vector.get("hex", ""))
    if structure == "store":
        return {"expected": whole_store(vector)}
    store = bytes.fromhex(vector["store"]) if "store" in vector else bytes(16)
    file = File("vector", data, store, vector.get("file", 0))
    if structure == "text":
        return {"expected": floats(data, vector["type"])}
    if structure == "integers":
        cur = Cursor(data, "vector", 0, "K1")
        values = codecs.plain(cur, vector["count"])
        cur.done()
        return {"values": values}
    if structure == "header":
        file.header(vector["kind"])
        return {}
    if structure == "current":
        current = logs.Current(data)
        return {"expected": {"store": current.store.hex(), "manifest": current.manifest, "length": current.length, "step": current.step,
                             "created": current.created}}
    if structure == "frames":
        return {"records": frames(vector, data, store)}
    if structure == "segment":
        return {"expected": segment(file)}
    cur = Cursor(data, "vector", 0, {"manifest": "M3", "start": "W1"}.get(structure, "W2"))
    expected = {"schema": schema, "start": start, "transaction": transaction}.get(structure)
    found = manifest(cur, vector["kind"]) if structure == "manifest" else expected(cur)
    cur.done()
    return {"expected": found}


def floats(data, kind):
    size, form, write = (8, "<q", text.f64) if kind == F64 else (4, "<I", text.f32)
    return [write(struct.unpack_from(form, data, at)[0]) for at in range(0, len(data), size)]


def frames(vector, data, store):
    """Frames stand at `offset` of their file."""
    at = vector["offset"]
    file = File("vector", bytes(at) + data, store, vector["file"])
    found = logs.Records(file, at, len(file.data), vector["sequence"])
    return [{"kind": kind, "hex": record.hex()} for kind, _, record in found]


def column(entry):
    number, kind, nullable, name, description = entry
    return {"id": number, "type": kind, "nullable": bool(nullable), "name": name, "description": description}


def schema(cur):
    return of_schema(logs.schema(cur))


def of_schema(found):
    return {"key": "unique" if found.unique else found.dedup, "columns": [column(entry) for entry in found.columns]}


def start(cur):
    return {"previous_log": cur.u64(), "previous_end": cur.u64(), "version": cur.u64()}


def manifest(cur, kind):
    record = logs.record(cur, kind)
    if kind == 1:
        return dict(zip(("sealed_version", "first_log", "next_file", "floor", "step"), record))
    if kind == 2:
        return {"id": record[0], "name": record[1]}
    if kind == 3:
        return {"id": record.id, "instrument": record.instrument, "frame": record.name,
                "definitions": [[version, found and of_schema(found)] for version, found in record.definitions]}
    if kind == 4:
        names = {"series": "series", "part": "part", "rows": "rows", "first": "first_time", "last": "last_time", "history": "history_rows",
                 "history_first": "history_first_time", "history_last": "history_last_time", "low": "version_low", "high": "version_high",
                 "marks": "marks", "bytes": "bytes"}
        return {"id": record.id, "length": record.length, "hash": [record.hash & (1 << 64) - 1, record.hash >> 64], "level": record.level,
                "parts": [{names[name]: value for name, value in part.items()} for part in record.parts]}
    if kind == 6:
        return dict(zip(("name", "version", "created"), record))
    return {"id" if kind == 5 else "name": record}


def cell(kind, value):
    """Floats by their bits, in hexadecimal."""
    if value is None or kind not in (F64, F32, STRING):
        return value
    if kind == STRING:
        return value.decode()
    return f"{value & (0xFFFFFFFF if kind == F32 else (1 << 64) - 1):0{8 if kind == F32 else 16}x}"


PHYSICAL = {1: 1, 2: F64, 3: F32, 4: 4, 5: STRING}


def transaction(cur):
    found = logs.transaction(cur)
    effects = []
    for effect in found.effects:
        out = {"effect": effect[0]}
        if effect[0] == 1:
            out |= {"id": effect[1], "name": effect[2]}
        elif effect[0] == 2:
            out |= {"series": effect[1], "instrument": effect[2][0], "frame": effect[2][1], "schema": of_schema(effect[3])}
        elif effect[0] == 3:
            out |= {"series": effect[1]}
        elif effect[0] == 4:
            rows = effect[2]
            columns = [{"id": number, "values": [cell(PHYSICAL[kind], value) for value in values]} for number, (kind, values) in rows.columns.items()]
            out |= {"series": effect[1], "time": rows.times, "source": rows.sources, "flags": rows.flags, "columns": columns}
        else:
            out |= {"series": effect[1], "kind": effect[2][0], "start": effect[2][1], "end": effect[2][2]}
        effects.append(out)
    return {"version": found.version, "time": found.time, "kind": found.kind, "message": found.message, "added": found.added,
            "updated": found.updated, "deleted": found.deleted, "effects": effects}


class Alone:
    """A segment without a store: what verification asks of one."""

    series, sources = {}, range(1 << 16)


def rows(part, chunks):
    out = []
    for chunk in chunks:
        chunk.head()
        system = [chunk.column(VERSION)] + ([chunk.column(UNTIL)] if chunk.stream else []) + [chunk.column(SOURCE), chunk.column(FLAGS)]
        columns = [[cell(kind, value) for value in chunk.column(FIRST_COLUMN + number)] for number, kind in part.columns.items()]
        out += [list(row) for row in zip(chunk.times(), *system, *columns)]
    return out


def segment(file):
    """All rows and marks; then every byte is verified, and the first finding raised."""
    opened = Segment(file)
    parts = []
    for number in range(opened.count):
        part = opened.part(number)
        parts.append({"series": part.series, "live": rows(part, part.live), "history": rows(part, part.history),
                      "marks": [list(mark) for mark in part.marks]})
    findings = Findings()
    verify_segment(findings, Alone, None, file)
    if findings.raised:
        raise findings.raised
    return {"parts": parts}


def whole_store(vector):
    """A directory: opened, every series read at the newest version, then verified."""
    with tempfile.TemporaryDirectory() as directory:
        for name, content in vector["files"].items():
            with open(os.path.join(directory, name), "wb") as file:
                file.write(bytes.fromhex(content))
        store = Store(directory)
        try:
            series = []
            for found in sorted(store.series.values(), key=lambda found: found.id):
                definition = found.at(store.newest)
                if found.id and definition:
                    kinds = [kind for _, kind, _, _, _ in definition.columns]
                    read = store.visible(found, store.newest)
                    series.append({"instrument": found.instrument, "frame": found.name,
                                   "rows": [[row.time, *(cell(kind, value) for kind, value in zip(kinds, row.cells))] for row in read]})
            expected = {"newest": store.newest, "series": series}
        finally:
            store.close()
        findings = Findings()
        for _ in verify(directory, findings):
            raise findings.raised
        return expected

