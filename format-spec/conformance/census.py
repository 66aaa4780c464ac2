"""Which ids of the format occur in a store, against the tables of the chapters: every encoding, packing, transform, type, effect and so on."""

import os
import re
import sys

SPEC = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{SPEC}/reader")

from tapestore import codecs, logs  # noqa: E402
from tapestore.basics import Cursor  # noqa: E402
from tapestore.segment import MODEL, SINGLES, Segment  # noqa: E402
from tapestore.store import Store  # noqa: E402

# Ids that an encoder is free not to choose, with why no store made here has to have them.
FREE = {
    "entry flags": {8: "only blocks above 65535 bytes have long lengths"},
    "models": {"one lane": "writers of today make models in lanes"},
    "memories of models": {number: "the one that makes the column smallest is taken" for number in (2, 3, 4)},
}


def table(chapter, *header):
    """The ids of a table: its first column, of the rows under this header."""
    ids, inside = [], False
    with open(f"{SPEC}/{chapter}", encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not line.startswith("|"):
                inside = False
            elif cells[:len(header)] == list(header):
                inside = True
            elif inside and cells[0].isdigit():
                ids.append(int(cells[0]))
    assert ids, f"{chapter} has no table {header}"
    return set(ids)


def numbers(chapter, field):
    """The numbers that the row of a field lists: `1 nulls, 2 exceptions`."""
    with open(f"{SPEC}/{chapter}", encoding="utf-8") as file:
        row = next(line for line in file if line.startswith(f"| {field} |"))
    return {int(found[0]) for found in (re.match(r"\s*[0-9]+", item) for item in re.split("[,;]", row.strip("|\n").split("|")[2])) if found}


def wanted():
    return {
        "encodings": table("codecs.md", "id", "name", "types"),
        "packings": table("codecs.md", "id", "packing"),
        "transforms": table("codecs.md", "id", "transform"),
        "types in segments": table("schema.md", "id", "type", "values"),
        "types in schemas": table("schema.md", "id", "type", "values"),
        "keys": table("schema.md", "id", "key"),
        "effects": table("wal.md", "id", "effect"),
        "marks in logs": table("wal.md", "id", "mark"),
        "marks in segments": table("wal.md", "id", "mark"),
        "physical types": table("wal.md", "id", "physical type"),
        "records of logs": table("wal.md", "kind", "record"),
        "records of manifests": table("manifest.md", "kind", "record"),
        "timeframes": table("time.md", "id", "name"),
        "kinds of transactions": {1, 2},
        "streams": {0, 1},
        "nulls of blocks": {0, 1, 2},
        "roles of the group": {0, 1, 2, 3},
        "entry flags": numbers("segment.md", "flags"),
        "bits of an index": numbers("segment.md", "bits"),
        "coded blocks": {0, 1},
        "models": {"one lane", "lanes"},
        "memories of models": {0, 1, 2, 3, 4},
        "encodings with a model": {3, 4, 5, 6, 7},
        "groups with digits": {"plain", "with a model"},
        "groups of adjusted singles": {"plain", "with a model"},
        "levels of segments": {0, 1},
    }


class Census:
    def __init__(self):
        self.found = {}

    def note(self, subject, *ids):
        self.found.setdefault(subject, set()).update(ids)

    def store(self, path):
        """Decodes everything that counts."""
        plain, nulls, model = codecs.integers, codecs.nulls, codecs.model

        def integers(cur, n, inner=False, model=None):
            head = cur.data[cur.pos]
            self.note("coded blocks", head >> 7)
            self.note("transforms", head >> 3 & 3)
            if not head >> 7:
                self.note("packings", head & 7)
            return plain(cur, n, inner, model)

        def noted_nulls(cur, n):
            self.note("nulls of blocks", cur.data[cur.pos])
            return nulls(cur, n)

        def noted_model(cur, features):
            found = model(cur, features)
            self.note("models", "lanes" if isinstance(found, codecs.Lanes) else "one lane")
            if isinstance(found, codecs.Lanes):
                self.note("memories of models", found.memory)
            return found

        codecs.integers, codecs.nulls, codecs.model = integers, noted_nulls, noted_model
        store = Store(path)
        try:
            self.manifest(store)
            for listed in store.manifest.segments.values():
                self.note("levels of segments", min(listed.level, 1))
                self.segment(Segment(store.segments[listed.id]))
            for file in store.log_files:
                self.log(file)
        finally:
            store.close()
            codecs.integers, codecs.nulls, codecs.model = plain, nulls, model

    def manifest(self, store):
        for kind, _, _ in logs.Records(store.manifest_file, 64, len(store.manifest_file.data), 0):
            self.note("records of manifests", kind)
        for series in store.series.values():
            for _, schema in series.definitions:
                if schema:
                    self.note("keys", 1 if schema.unique else 2)
                    self.note("types in schemas", *schema.types.values())

    def segment(self, segment):
        for number in range(segment.count):
            part = segment.part(number)
            self.note("bits of an index", *([1] * part.unique), *([2] * (part.timeframe is not None)), *([4] * (part.ohlc is not None)))
            self.note("marks in segments", *(mark[0] for mark in part.marks))
            if part.timeframe is not None:
                self.note("timeframes", part.timeframe)
                list(part.read_runs())
            for chunk in part.live + part.history:
                self.note("streams", chunk.stream)
                for code, entry in chunk.head().items():
                    self.note("encodings", entry.encoding)
                    self.note("encodings with a model", *([entry.encoding] if entry.flags & MODEL else []))
                    if entry.places is not None:
                        self.note("groups with digits", "with a model" if entry.flags & MODEL else "plain")
                    if entry.flags & SINGLES == SINGLES:
                        self.note("groups of adjusted singles", "with a model" if entry.flags & MODEL else "plain")
                    self.note("types in segments", entry.kind)
                    self.note("entry flags", *(1 << bit for bit in range(8) if entry.flags >> bit & 1))
                    self.note("roles of the group", *([] if entry.role is None else [entry.role]))
                    chunk.column(code)

    def log(self, file):
        """Records of a log, as far as they are whole."""
        for kind, at, data in logs.Records(file, 64, len(file.data), None):
            self.note("records of logs", kind)
            if kind != 2:
                continue
            found = logs.transaction(Cursor(data, file.name, at, "W2"))
            self.note("kinds of transactions", found.kind)
            for effect in found.effects:
                self.note("effects", effect[0])
                if effect[0] == 4:
                    self.note("physical types", *(kind for kind, _ in effect[2].columns.values()))
                if effect[0] == 5:
                    self.note("marks in logs", effect[2][0])

    def missing(self):
        """A line for each id of the chapters that does not occur, and for each that occurs and is in no chapter."""
        for subject, ids in wanted().items():
            found = self.found.get(subject, set())
            for number in sorted(ids - found - set(FREE.get(subject, {}))):
                yield f"{subject}: {number} does not occur"
            for number in sorted(found - ids):
                yield f"{subject}: {number} occurs, but no chapter has it"
