"""The protocol of programs as sources of `tape fetch`: a question in, bars out.

    from tape_source import serve
    serve(lambda ask: [(time, open, high, low, close, volume), ...])

`ask` has symbol, frame, start_ns, end_ns, start and end. Times that are given back are integers since 1970 (s, ms, us or
ns) or text: a date, or ISO 8601. `Later` says that it may go well the next time.
"""

import csv
import json
import sys
from types import SimpleNamespace

NAMES = ["time", "open", "high", "low", "close", "volume"]


class Later(Exception):
    """The source is busy, or limits requests."""


def serve(bars, names=NAMES):
    """Answers one question with what `bars(ask)` gives: rows in the order of `names`."""
    ask = SimpleNamespace(**json.load(sys.stdin))
    if ask.version != 1:
        sys.exit(f"version {ask.version} of the protocol is not known")
    try:
        rows = list(bars(ask))
    except (Later, TimeoutError, ConnectionError) as error:
        print(error, file=sys.stderr)
        sys.exit(75)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)


def dates(ask):
    """First and last date of the question, as text; the end of it is exclusive."""
    from datetime import datetime, timedelta, timezone

    end = datetime.fromtimestamp(ask.end_ns / 1e9, timezone.utc) - timedelta(microseconds=1)
    return ask.start[:10], end.strftime("%Y-%m-%d")


def inside(ask, rows):
    """The rows whose dates lie within the question; sources give whole years and the like."""
    first, last = dates(ask)
    return [row for row in rows if first <= str(row[0])[:10] <= last]
