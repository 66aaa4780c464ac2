"""Deep verification: every checksum, every structure, and what structures say of one another.

Findings name file, offset, rule and detail. Damage in one column, chunk, part or file does not keep the others from being looked at.
"""

import math

from . import codecs, grid
from .basics import Cursor, Damage
from .segment import (BLOCK_ROWS, DECIMAL, F32, F64, FIRST_COLUMN, GROUP, NANS, NULLS, SOURCE, UNTIL, VERSION, Segment)
from .store import Store
from .xxh3 import xxh3_128


class Findings:
    def __init__(self):
        self.found = []
        self.raised = None                      # the first one

    def add(self, file, offset, rule, detail, kind="corrupt"):
        self.raised = self.raised or Damage(file, offset, rule, detail, kind)
        self.found.append({"file": file, "offset": offset, "rule": rule, "class": kind, "detail": detail})

    def attempt(self, function, *arguments):
        """The result, or None and a finding."""
        try:
            return function(*arguments)
        except Damage as damage:
            self.add(damage.file, damage.offset, damage.rule, damage.detail, damage.kind)
            return None

    def take(self):
        found, self.found = self.found, []
        return found


def verify(path, findings=None):
    findings = findings or Findings()
    store = findings.attempt(Store, path, findings.add)
    yield from findings.take()
    if store is None:
        return
    try:
        for id, listed in sorted(store.manifest.segments.items()):
            if id in store.broken:
                damage = store.broken[id]
                findings.add(damage.file, damage.offset, damage.rule, damage.detail, damage.kind)
            else:
                segment(findings, store, listed, store.segments[id])
            yield from findings.take()
        for series in store.series.values():
            if not any(part["series"] == series.id for listed in store.broken for part in store.manifest.segments[listed].parts):
                findings.attempt(store.layers, series)
        for finding in findings.take():
            if finding["rule"] in ("Y3", "I11"):
                yield finding
    finally:
        store.close()


def segment(findings, store, listed, file):
    """A segment, and what the manifest lists of it, if there is a manifest."""
    file.touched = set()
    opened = findings.attempt(Segment, file)
    if opened is None:
        return
    found = xxh3_128(file.data) if listed else None
    if found is not None and found != listed.hash:
        findings.add(file.name, 0, "I3", f"the hash is {found:032x}, {listed.hash:032x} stated")
    stated = {part["part"]: part for part in listed.parts} if listed else {}
    if listed and sorted(stated) != list(range(opened.count)):
        findings.add(file.name, opened.table, "M6", f"{opened.count} parts, {sorted(stated)} stated")
    before = -1
    for number in range(opened.count):
        entry = findings.attempt(opened.entry, number)
        if entry is None:
            continue
        if entry[0] <= before:
            findings.add(file.name, opened.table + 32 * number, "S8", "series do not ascend")
        before = entry[0]
        part = findings.attempt(opened.part, number)
        if part is not None:
            facts = findings.attempt(check_part, findings, store, part)
            if facts and number in stated and any(stated[number][name] != value for name, value in facts.items()):
                findings.add(file.name, part.index, "M6", f"{facts} found, {stated[number]} stated")
    if not findings.found:
        padding(findings, file)


def padding(findings, file):
    """S2: what belongs to nothing is zero, shorter than 64 bytes, and before something that is aligned."""
    at = 0
    for start, end in sorted(file.touched):
        if start < at:
            findings.add(file.name, start, "S2", "structures overlap")
        elif start > at and (start - at >= 64 or start % 64 or any(file.data[at:start])):
            findings.add(file.name, at, "S2", f"{start - at} bytes that belong to nothing")
        at = max(at, end)


def check_part(findings, store, part):
    """The rows of a part, chunk by chunk; gives what the manifest should say of it (M6)."""
    file = part.file
    before = len(findings.found)
    versions, slots, runs = [mark[3] for mark in part.marks], [], None
    if part.timeframe is not None:
        if sum(entry[2] for entry in part.runs) > part.live_rows:
            findings.add(file.name, part.index, "S14", "more slots than live rows")
        else:
            runs = findings.attempt(lambda: list(part.read_runs()))
    series = store.series.get(part.series)
    if series is not None and part.series and part.timeframe != series.timeframe:
        findings.add(file.name, part.index, "S9", f"timeframe {part.timeframe} in a part of {series.instrument} {series.name}")
    for chunks in (part.live, part.history):
        last = None
        for chunk in chunks:
            entries = findings.attempt(chunk.head)
            if entries is None:
                continue
            times = findings.attempt(chunk.times)
            system = {}
            for code, entry in entries.items():
                values = findings.attempt(chunk.column, code)
                if values is None:
                    continue
                if code < FIRST_COLUMN:
                    system[code] = values
                if entry.zones is not None:
                    findings.attempt(zones, chunk, entry, values)
            if VERSION in system:
                versions += [min(system[VERSION]), max(system[VERSION])]
            if UNTIL in system:
                versions += [min(system[UNTIL]), max(system[UNTIL])]
                if VERSION in system and any(a >= b for a, b in zip(system[VERSION], system[UNTIL])):
                    findings.add(file.name, chunk.position, "Y1", "a row of history ends before it begins")
            if part.series and SOURCE in system and max(system[SOURCE]) >= len(store.sources):
                findings.add(file.name, chunk.position, "M5", f"source {max(system[SOURCE])} is not known")
            if times and VERSION in system:
                order = list(zip(times, system[VERSION]))
                if any(a > b for a, b in zip([last or order[0]] + order, order)):
                    findings.add(file.name, chunk.position, "Y4", "rows are not in order of time and version")
                last = order[-1]
            if times and chunk.stream == 0 and part.timeframe is not None:
                slots += grid.coverage(grid.Grid(part.timeframe), times)
            chunk.entries, chunk.kept = None, chunk.end                       # memory
    if runs is not None and len(findings.found) == before:
        joined = []
        for start, end in slots:
            if joined and start <= joined[-1][1]:
                joined[-1][1] = max(joined[-1][1], end)
            else:
                joined.append([start, end])
        if [tuple(run) for run in joined] != runs:
            findings.add(file.name, part.index, "S14", "runs do not agree with the rows")
    if len(findings.found) > before:
        return None
    place = part.start                                                         # S10
    for chunk in sorted(part.live + part.history, key=lambda chunk: chunk.position):
        if chunk.position != place + -place % 64:
            findings.add(file.name, chunk.position, "S10", f"a chunk is not where it should be, behind {place}")
        place = chunk.kept
    if place != part.index:
        findings.add(file.name, part.index, "S10", f"the index is not directly behind the last chunk, at {place}")
    low, high = (min(versions), max(versions)) if versions else (0, 0)
    if (low, high) != (part.version_low, part.version_high):
        findings.add(file.name, part.index, "S9", f"versions {low} to {high} found, {part.version_low} to {part.version_high} stated")
    return {"series": part.series, "rows": part.live_rows, "first": part.live[0].first if part.live else 0,
            "last": part.live[-1].last if part.live else -1, "history": part.history_rows,
            "history_first": part.history[0].first if part.history else 0, "history_last": part.history[-1].last if part.history else -1,
            "low": low, "high": high, "marks": len(part.marks)}


def zones(chunk, entry, values):
    """S24, S25: the statistics of each block."""
    blocks = -(-chunk.rows // BLOCK_ROWS)
    cur = Cursor(entry.zones, chunk.part.file.name, chunk.position, "S24")
    least = codecs.plain(cur, blocks)
    greatest = [codecs.wrap(a + b) for a, b in zip(least, codecs.plain(cur, blocks))]
    floats = entry.kind in (F64, F32)
    if entry.encoding in (DECIMAL, GROUP):
        least, greatest = (codecs.decimals(m, entry.scale, entry.kind) for m in (least, greatest))
        codecs.exceptions(cur, blocks, least, entry.kind)
        codecs.exceptions(cur, blocks, greatest, entry.kind)
        cur.rule = "S24"
    sums = [cur.number("<d", 8) for _ in range(blocks)]
    nulls = codecs.plain(cur, blocks) if entry.flags & NULLS else [0] * blocks
    nans = codecs.plain(cur, blocks) if entry.flags & NANS else [0] * blocks
    cur.done()
    if floats:
        if entry.kind == F32 and any(not 0 <= v <= 0xFFFFFFFF for v in least + greatest):
            cur.fail("bits beyond f32")
        least, greatest = codecs.to_floats(least, entry.kind), codecs.to_floats(greatest, entry.kind)
    for block in range(blocks):
        rows = values[block * BLOCK_ROWS:(block + 1) * BLOCK_ROWS]
        kept = [value for value in rows if value is not None]
        empty = len(rows) - len(kept)
        if floats:
            kept = codecs.to_floats(kept, entry.kind)
        numbers = [value for value in kept if value == value]
        if nulls[block] < 0 or nans[block] < 0 or nulls[block] + nans[block] > len(rows):
            cur.fail("nulls and NaNs are more than the rows")
        total = 0.0
        for value in numbers:
            total += value
        low, high = (min(numbers), max(numbers)) if numbers else (0, 0)
        same = total == sums[block] or math.isnan(total) and math.isnan(sums[block])
        if (least[block], greatest[block], nulls[block]) != (low, high, empty) or not same or (len(kept) - len(numbers)) != nans[block]:
            cur.fail(f"block {block}: {low}, {high}, {total}, {empty}, {len(kept) - len(numbers)} found; "
                     f"{least[block]}, {greatest[block]}, {sums[block]}, {nulls[block]}, {nans[block]} stated", "S25")
