"""A store: opening, layers, what a version shows. store.md, wal.md, versions.md. Rules D1, D2, M6, W5 to W7, Y1 to Y6, O1, O2, V1, V2."""

import mmap
import os
import re
import struct
import time
import zlib
from bisect import bisect_left, bisect_right
from datetime import datetime, timezone

from . import grid, logs
from .basics import MASK, ORDINAL, TIME_MAX, TIME_MIN, Cursor, Damage, File, Missing, file_name, seed
from .segment import FIRST_COLUMN, UNTIL, VERSION, Segment

try:
    import fcntl
except ImportError:
    fcntl = None

MOST_ROWS = int(os.environ.get("TAPESTORE_MOST_ROWS", 10_000_000))          # rows of one series that are held in memory at most (I11)


def moment(text):
    """ISO 8601 to nanoseconds; UTC if no zone is named."""
    fraction = re.search(r"[.,](\d{1,9})", text)
    try:
        time = datetime.fromisoformat(text.replace(fraction[0], "") if fraction else text)
    except ValueError:
        raise Missing(f"{text!r} is no version, snapshot or time") from None
    passed = (time if time.tzinfo else time.replace(tzinfo=timezone.utc)) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (passed.days * 86400 + passed.seconds) * 10**9 + (int(fraction[1].ljust(9, "0")) if fraction else 0)


class Row:
    __slots__ = ("time", "version", "ordinal", "cells")

    def __init__(self, time, version, ordinal, cells):
        self.time, self.version, self.ordinal, self.cells = time, version, ordinal, cells


class Layer:
    """What a stretch of commits did to one series: from a part of a segment, or from a transaction."""

    def __init__(self, low, high, marks, part=None, rows=None):
        self.low, self.high, self.marks, self.part, self.rows = low, high, marks, part, rows

    def stream(self, ids, history):
        """Rows with the cells of the columns asked for, and until for rows of history."""
        if self.part is None:
            rows = self.rows
            if rows is None or history:
                return
            nothing = [None] * len(rows.times)
            columns = [rows.columns[id][1] if id in rows.columns else nothing for id in ids]
            ordinals = rows.columns[ORDINAL][1] if ORDINAL in rows.columns else [0] * len(nothing)
            cells = zip(*columns) if columns else [()] * len(nothing)
            for at, ordinal, cell in zip(rows.times, ordinals, cells):
                yield Row(at, self.low, ordinal or 0, cell), MASK + 1
            return
        for chunk in self.part.history if history else self.part.live:
            code = lambda id: chunk.column(FIRST_COLUMN + id)
            columns = [code(id) for id in ids]
            ordinals = code(ORDINAL) if ORDINAL in self.part.columns else [0] * chunk.rows
            until = chunk.column(UNTIL) if history else [MASK + 1] * chunk.rows
            cells = zip(*columns) if columns else [()] * chunk.rows
            for at, version, ordinal, end, cell in zip(chunk.times(), chunk.column(VERSION), ordinals, until, cells):
                if not self.low <= version <= self.high or end <= version or end <= MASK and end > self.high:
                    self.part.file.fail(chunk.position, "S9", "version or until beyond those of the part")
                yield Row(at, version, ordinal or 0, cell), end

    def rows_of(self, version, ids):
        if version >= self.high:
            return [row for row, _ in self.stream(ids, False)]
        rows = [row for row, _ in self.stream(ids, False) if row.version <= version]
        rows += [row for row, until in self.stream(ids, True) if row.version <= version < until]
        rows.sort(key=lambda row: (row.time, row.version, row.ordinal))       # stable: live before history
        return rows


class Store:
    def __init__(self, path, report=None):
        """With `report`, damage of logs is told to it, and the rest of the store opened all the same."""
        self.path, self.lease, self.notes, self.report = path, None, [], report
        self.take_lease()
        try:
            self.open()
        except BaseException:
            self.close()
            raise

    def open(self):
        tries, before = 0, None
        while True:
            current = self.current()
            tries, before = (tries + 1, before) if current.step == before else (1, current.step)
            try:
                self.load(current)
                break
            except Damage:
                if tries >= 3 or self.current().step == current.step:
                    raise
        if self.lease:
            os.pwrite(self.lease, struct.pack("<QI", current.step, zlib.crc32(struct.pack("<QQ", 1, current.step), zlib.crc32(seed(current.store, 0)))), 0)

    # Files -----------------------------------------------------------------------------------------------------------------------------

    def take_lease(self):
        """V2, if there is a directory for leases that can be written to."""
        name = os.path.join(self.path, "leases", f"reader-{os.getpid()}-{time.time_ns():x}")
        if fcntl and os.path.isdir(os.path.dirname(name)):
            try:
                lease = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
                fcntl.flock(lease, fcntl.LOCK_SH | fcntl.LOCK_NB)
                self.lease, self.lease_name = lease, name
            except OSError:
                pass

    def close(self):
        if self.lease:
            try:
                os.remove(self.lease_name)
            except OSError:
                pass
            os.close(self.lease)
            self.lease = None

    def current(self):
        try:
            with open(os.path.join(self.path, "CURRENT"), "rb") as file:
                return logs.Current(file.read(65))
        except FileNotFoundError:
            raise Missing(f"{self.path} is not a store: it has no file CURRENT") from None

    def read(self, kind, id, rule, most=None):
        name = file_name(kind, id)
        try:
            with open(os.path.join(self.path, name), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if kind == "segment" and size:
                    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                else:
                    data = file.read(size if most is None else min(size, most))
        except FileNotFoundError:
            raise Damage(name, 0, rule, "the file is missing") from None
        return File(name, data, self.id, id)

    def hint(self):
        """`visible`, if a writer lives (V1)."""
        if not fcntl:
            return None
        last = None
        for _ in range(200):
            try:
                lock = os.open(os.path.join(self.path, "LOCK"), os.O_RDONLY)
            except OSError:
                return None
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except OSError:
                pass
            finally:
                os.close(lock)
            try:
                with open(os.path.join(self.path, "visible"), "rb") as file:
                    last = file.read(32)
            except OSError:
                last = b""
            if len(last) >= 20 and zlib.crc32(last[:16], zlib.crc32(bytes(8), zlib.crc32(seed(self.id, 0)))) == int.from_bytes(last[16:20], "little"):
                return struct.unpack_from("<QQ", last)
            time.sleep(0.002)
        raise Damage("visible", 0, "V1", "a writer lives, but gives no valid hint")

    # Opening ---------------------------------------------------------------------------------------------------------------------------

    def load(self, current):
        self.id, self.created = current.store, current.created
        self.manifest_file = self.read("manifest", current.manifest, "M1", current.length)
        self.manifest = logs.Manifest(current, self.manifest_file)
        self.sources, self.series = list(self.manifest.sources), dict(self.manifest.series)
        hint = self.hint()
        self.layers_of_logs = {}
        self.transactions = []
        self.log_files = []
        try:
            self.replay(hint)
        except Damage as damage:
            if not self.report:
                raise
            self.report(damage.file, damage.offset, damage.rule, damage.detail, damage.kind)
        self.by_name = {(s.instrument, s.name): s for s in self.series.values()}
        self.segments = {}
        self.broken = {}
        for id, listed in self.manifest.segments.items():
            try:
                file = self.read("segment", id, "I3")
                if len(file.data) != listed.length:
                    file.fail(0, "I3", f"{len(file.data)} bytes, {listed.length} stated")
                self.segments[id] = file
            except Damage as damage:
                self.broken[id] = damage               # other series can still be read

    def replay(self, hint):
        """wal.md, replay."""
        found = (re.fullmatch(r"wal-([0-9]{12,20})\.tape", name) for name in os.listdir(self.path))
        ids = sorted(int(match[1]) for match in found if match and match[0] == file_name("wal", int(match[1])))      # D1
        chain, elsewhere = [], set()
        for id in ids:
            if id >= self.manifest.first_log:
                log = logs.Log(self.read("wal", id, "W6"))
                if log.stillborn and id == self.manifest.first_log:
                    raise log.damage                                # the first log cannot be stillborn
                if log.stillborn:
                    continue
                if chain and (log.previous == 0 or log.previous in elsewhere):
                    elsewhere.add(id)                               # of another chain
                    continue
                if chain and log.previous != chain[-1].id:
                    log.file.fail(88, "W6", f"the log before this one is {log.previous}, expected {chain[-1].id}")
                chain.append(log)
        name = file_name("wal", self.manifest.first_log)
        if not chain or chain[0].id != self.manifest.first_log:
            raise Damage(name, 0, "W6", "the first log is missing")
        self.newest = self.manifest.sealed
        sequence = None
        for number, log in enumerate(chain):
            file = log.file
            self.log_files.append(file)
            newest = log is chain[-1]
            end = len(file.data)
            if not newest:
                end = chain[number + 1].previous_end
            elif hint and hint[0] == log.id:
                end = min(hint[1], end)
            elif hint and hint[0] < log.id:
                end = min(112, end)
            if end > len(file.data):
                file.fail(len(file.data), "W5", f"the log is shorter than the {end} bytes that its successor states")
            records = logs.Records(file, 64, end, sequence)
            try:
                for kind, at, data in records:
                    if kind == 1:
                        continue
                    if kind != 2:
                        file.fail(at, "W1", f"a record of kind {kind}")
                    self.commit(logs.transaction(Cursor(data, file.name, at + 24, "W2")), file, at)
                if not records.complete:
                    file.fail(records.whole, "W5", "bytes at the end that end no record")
            except Damage as damage:
                if damage.rule not in ("L1", "L2", "L3", "W5") or not newest:
                    raise
                if not logs.torn(file, records):
                    file.fail(records.at, "W5", f"{damage.rule}: {damage.detail}; a later frame calls the missing one durable")
                self.notes.append((file.name, records.whole, f"torn end: {damage.rule}: {damage.detail}"))
            sequence = records.next

    def commit(self, t, file, at):
        """W7, and a layer for each series."""
        fail = lambda detail: file.fail(at, "W7", detail)
        if t.version <= self.manifest.sealed:
            return
        if t.version != self.newest + 1:
            fail(f"version {t.version} behind {self.newest}")
        self.newest = t.version
        touched, seen = {}, set()
        for effect in t.effects:
            if effect[0] == 1:
                _, id, name = effect
                if id > len(self.sources) or id < len(self.sources) and self.sources[id] != name or id == len(self.sources) and name in self.sources:
                    fail(f"source {id}")
                if id == len(self.sources):
                    self.sources.append(name)
                continue
            id = effect[1]
            seen.add(id)
            if id == 0:
                fail("an effect names series 0")
            if effect[0] == 2:
                series = self.series.get(id)
                if series is None:
                    if id != len(self.series) or effect[2] in {(s.instrument, s.name) for s in self.series.values()}:
                        fail(f"new series {id}")
                    series = self.series[id] = logs.Series(id, *effect[2])
                if (series.instrument, series.name) != effect[2]:
                    fail(f"series {id} has another name")
                series.define(Cursor(b"", file.name, at, "W7"), t.version, effect[3], "W7")
            elif effect[0] == 3:
                if id not in self.series:
                    fail(f"series {id} is not known")
                self.series[id].define(Cursor(b"", file.name, at, "W7"), t.version, None, "W7")
            else:
                layer = touched.setdefault(id, Layer(t.version, t.version, []))
                if effect[0] == 5:
                    if effect[2][1] < TIME_MIN or effect[2][2] > TIME_MAX + 1:
                        fail("a mark beyond the limits of times")
                    layer.marks.append(effect[2])
                elif layer.rows is not None:
                    fail(f"two sets of rows for series {id}")
                else:
                    layer.rows = effect[2]
        for id, layer in touched.items():
            series = self.series.get(id)
            if series is None:
                fail(f"series {id} is not known")
            schema = series.at(t.version)
            if layer.rows:
                if schema is None:
                    fail(f"rows for series {id}, which has no schema")
                for column, (physical, _) in layer.rows.columns.items():
                    kind = 1 if column == ORDINAL else schema.types.get(column)
                    if kind is None or logs.PHYSICAL[kind] != physical:
                        fail(f"column {column} of series {id}")
                    if kind == 5 and any(value and value > 1 for value in layer.rows.columns[column][1]):
                        fail(f"column {column} of series {id} is not of booleans")
                if schema.unique and any(a == b for a, b in zip(layer.rows.times, layer.rows.times[1:])):
                    fail("times do not ascend strictly")
                if layer.rows.sources and max(layer.rows.sources) >= len(self.sources):
                    fail("a source that is not known")
            self.layers_of_logs.setdefault(id, []).append(layer)
        row = logs.Rows()
        row.times, row.sources, row.flags = [t.time], [0], [0]
        row.columns = {0: (4, [t.kind]), 1: (1, [len(seen)]), 2: (1, [t.added]), 3: (1, [t.updated]), 4: (1, [t.deleted]), 5: (5, [t.message.encode()])}
        self.layers_of_logs.setdefault(0, []).append(Layer(t.version, t.version, [], rows=row))
        self.transactions.append(t)

    # What a version shows --------------------------------------------------------------------------------------------------------------

    def part(self, listed, stated):
        """M6, as far as a reader checks it."""
        if listed.id in self.broken:
            raise self.broken[listed.id]
        file = self.segments[listed.id]
        if isinstance(file, File):
            file = self.segments[listed.id] = Segment(file)
        if file.count != len(listed.parts) or stated["part"] >= file.count:
            file.file.fail(file.table, "M6", "another number of parts than the manifest states")
        part = file.part(stated["part"])
        if part.series != stated["series"]:
            file.file.fail(part.index, "M6", f"a part of series {part.series}, {stated['series']} stated")
        return part

    def layers(self, series):
        """Oldest first (Y3)."""
        if series.id not in getattr(self, "cache", {}):
            found, rows = [], 0
            for listed in self.manifest.segments.values():
                for stated in listed.parts:
                    if stated["series"] == series.id:
                        part = self.part(listed, stated)
                        found.append(Layer(part.version_low, part.version_high, part.marks, part=part))
                        rows += part.live_rows + part.history_rows
            if rows > MOST_ROWS:
                raise Damage(self.path, 0, "I11", f"{rows} rows in series {series.id}, at most {MOST_ROWS} are read", "limit")
            found.sort(key=lambda layer: layer.low)
            found += self.layers_of_logs.get(series.id, [])
            for a, b in zip(found, found[1:]):
                if a.high >= b.low:
                    raise Damage(self.manifest_file.name, 0, "Y3", f"layers of series {series.id} overlap in versions {a.low} to {a.high} and {b.low} to {b.high}")
            self.cache = {series.id: found}
        return self.cache[series.id]

    def visible(self, series, version, wanted=None):
        """Rows of a version, with the cells of the columns of its schema, in order."""
        schema = series.at(version)
        if schema is None:
            raise Missing(f"there is no series {series.instrument} {series.name} at version {version}")
        ids = [column[0] for column in schema.columns] if wanted is None else wanted
        keys = [id for id in schema.dedup if id not in ids]
        ids = ids + keys
        dedup = [ids.index(id) for id in schema.dedup]
        rows, by_time = [], lambda row: row.time
        for layer in self.layers(series):
            if layer.low > version:
                break
            for kind, start, end, since in layer.marks:
                if kind == 1 and since <= version:
                    del rows[bisect_left(rows, start, key=by_time):bisect_left(rows, end, key=by_time)]
            if layer.part:
                for id, kind in schema.types.items():
                    if layer.part.columns.get(id, kind) != kind:
                        layer.part.file.fail(layer.part.index, "S23", f"column {id} has another type than in the schema")     # A4
            top = layer.rows_of(version, ids)
            if not top:
                continue
            first, last = bisect_left(rows, top[0].time, key=by_time), bisect_right(rows, top[-1].time, key=by_time)
            beneath = rows[first:last]
            if schema.unique:
                hidden = {row.time for row in top}
                beneath = [row for row in beneath if row.time not in hidden]
            elif dedup:
                key = lambda row: (row.time, *(row.cells[at] for at in dedup))
                hidden = {key(row) for row in top}
                beneath = [row for row in beneath if key(row) not in hidden]
            merged = beneath + top
            merged.sort(key=by_time)                            # stable: at equal times older rows first
            rows[first:last] = merged
        return rows

    def absences(self, series, version):
        found = []
        for layer in self.layers(series):
            for kind, start, end, since in layer.marks:
                if since <= version and kind == 2:
                    grid.join(found, start, end)
                elif since <= version and kind == 3:
                    grid.cut(found, start, end)
        return found

    def find(self, instrument, name):
        series = self.by_name.get((instrument, name))
        if series is None:
            raise Missing(f"there is no series {instrument} {name}")
        return series

    def version(self, text):
        """Y5: a number, the name of a snapshot, or a time."""
        if text is None:
            version = self.newest
        elif re.fullmatch(r"\d{1,20}", text):
            version = int(text)
            if version >= 10**15:                                  # a time in nanoseconds
                version = self.version_at(version)
        elif text in self.manifest.snapshots:
            version = self.manifest.snapshots[text]
        else:
            version = self.version_at(moment(text))
        if version > self.newest or version < self.manifest.floor and version not in self.manifest.snapshots.values():
            raise Missing(f"version {version} cannot be read: the newest is {self.newest}, the oldest kept {self.manifest.floor}, beside snapshots")
        return version

    def version_at(self, limit):
        commits = [row.version for row in self.visible(self.series[0], self.newest, []) if row.time <= limit]
        if not commits:
            raise Missing(f"there was no commit at or before {limit}")
        return max(commits)

    def export(self, series, version):
        schema = series.at(version)
        rows = self.visible(series, version)
        width = len(schema.columns)
        return [(name, kind) for _, kind, _, name, _ in schema.columns], ((row.time, row.cells[:width]) for row in rows)

    def gaps(self, series, version):
        if series.timeframe is None:
            raise Missing(f"{series.name} is no timeframe: only bars have gaps")
        times = [row.time for row in self.visible(series, version, [])]
        return grid.gaps(series.timeframe, times, self.absences(series, version))
