"""Timeframes, slots, coverage, gaps: time.md. Rules B1, B2, C1."""

from bisect import bisect_left, bisect_right

from .basics import TIME_MAX, TIME_MIN

DAY = 86400 * 10**9
SECOND = 10**9
STEPS = [1, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 28800, 43200, 86400, 604800]
NAMES = "1s 1m 2m 3m 5m 10m 15m 30m 1h 2h 4h 6h 8h 12h 1d 1w 1mo".split()
FRAMES = {name: number + 1 for number, name in enumerate(NAMES)}
WEEK, MONTH = 16, 17


def month_of(day):
    shifted = day + 719468
    era, doe = divmod(shifted, 146097)
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    return (era * 400 + yoe - 1970) * 12 + (5 * doy + 2) // 153 + 2


def first_day(month):
    m = month - 2
    year, mp = 1970 + m // 12, m % 12
    era, yoe = divmod(year, 400)
    doy = (153 * mp + 2) // 5
    return era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468


class Grid:
    def __init__(self, frame):
        self.frame = frame
        self.step = 0 if frame == MONTH else STEPS[frame - 1] * SECOND
        self.phase = -3 * DAY if frame == WEEK else 0

    def slot(self, time):
        """B1."""
        if self.frame == MONTH:
            return month_of(time // DAY)
        return (time - self.phase) // self.step

    def begin(self, slot):
        if self.frame == MONTH:
            return first_day(slot) * DAY
        return slot * self.step + self.phase

    def slots_in(self, start, end):
        """The slots that begin in [start, end)."""
        start, end = max(start, TIME_MIN), min(end, TIME_MAX + 1)
        at_or_after = lambda time: self.slot(time - 1) + 1
        return at_or_after(start), at_or_after(end)


def coverage(grid, times):
    """C1: runs of slots, from times in order."""
    runs = []
    for time in times:
        slot = grid.slot(time)
        if runs and slot <= runs[-1][1]:
            runs[-1][1] = max(runs[-1][1], slot + 1)
        else:
            runs.append([slot, slot + 1])
    return [(a, b) for a, b in runs]


def subtract(ranges, taken):
    """Sorted disjoint ranges without those of another such list."""
    out, at = [], 0
    for start, end in ranges:
        while at and taken[at - 1][1] > start:
            at -= 1
        while at < len(taken) and taken[at][1] <= start:
            at += 1
        while at < len(taken) and taken[at][0] < end:
            if taken[at][0] > start:
                out.append((start, taken[at][0]))
            start = max(start, taken[at][1])
            at += 1
        if start < end:
            out.append((start, end))
    return out


def join(ranges, start, end):
    """Adds a range to a list of ranges that neither overlap nor touch, in place."""
    first = bisect_left(ranges, start, key=lambda r: r[1])
    last = bisect_right(ranges, end, key=lambda r: r[0])
    near = ranges[first:last]
    ranges[first:last] = [(min(start, near[0][0]), max(end, near[-1][1]))] if near else [(start, end)]


def cut(ranges, start, end):
    """Takes a range out of such a list, in place."""
    first = bisect_right(ranges, start, key=lambda r: r[1])
    last = bisect_left(ranges, end, key=lambda r: r[0])
    ranges[first:last] = subtract(ranges[first:last], [(start, end)])


def gaps(frame, times, absences):
    """time.md, Gaps: by default all slots from that of the first visible row to that of the last one."""
    grid = Grid(frame)
    runs = coverage(grid, times)
    if not runs:
        return
    missing = subtract([(runs[0][0], runs[-1][1])], runs)
    absent = []
    for start, end in absences:
        a, b = grid.slots_in(start, end)
        if a < b:
            join(absent, a, b)
    for a, b in subtract(missing, absent):
        yield grid.begin(a), grid.begin(b), b - a
