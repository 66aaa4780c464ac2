#!/usr/bin/env python3
"""Compares the compiled calendars with exchange_calendars day by day and writes DIFFERENCES.md.

    python3 -m venv venv && venv/bin/pip install -r engine/calendar/oracle/requirements.txt
    venv/bin/python engine/calendar/oracle/compare.py

Asks the package anew, for all days that it has, not only for ours; fails if a day differs without a reason on our side.
"""

import collections
import pathlib
import subprocess
import sys

import exchange_calendars
import pandas

HERE = pathlib.Path(__file__).parent
SOURCES = {"XNAS": "XNYS", "XSHE": "XSHG"}
# Hours that differ over years, by the first day they hold: why.
HOURS = {
    "XHKG": [
        ("2000-01-01", "2011-03-06", "lunch was 12:30 to 14:30; the package has 12:00 to 13:00 (HKEX, 2010-11-23)"),
        ("2011-03-07", "2012-03-04", "lunch was 12:00 to 13:30; the package has 12:00 to 13:00 (HKEX, 2012-03-01)"),
    ],
    "XTKS": [
        ("2000-01-01", "2011-11-20", "the morning ended at 11:00; the package has 11:30 (TSE, 2010-11-30); from 2006-01-19 to "
         "2006-04-21 the afternoon began at 13:00, not 12:30 (BCN, 2006-01-18 and 2006-04-20)"),
    ],
}


def package(name, first, last):
    calendar = exchange_calendars.get_calendar(SOURCES.get(name, name), start=first, end=last)
    days = {}
    for date, row in calendar.schedule.iterrows():
        ends = [row["open"], row["break_start"], row["break_end"], row["close"]]
        days[str(date.date())] = tuple(int(end.timestamp()) for end in ends if not pandas.isna(end))
    return calendar, days


def clock(ends, zone):
    text = [pandas.Timestamp(end, unit="s", tz="UTC").tz_convert(zone).strftime("%H:%M") for end in ends]
    return " ".join(f"{a}-{b}" for a, b in zip(text[::2], text[1::2])) or "closed"


def main():
    run = subprocess.run(["cargo", "run", "-q", "-p", "tapestore-calendar", "--example", "days"], capture_output=True, text=True, check=True)
    ours, ranges = collections.defaultdict(dict), {}
    for line in run.stdout.splitlines():
        name, date, rest, last = line.split(",", 3)
        if date == "range":
            ranges[name] = (rest, last)
        else:
            ours[name][date] = (tuple(int(end) for end in rest.split()), last)
    summary, periods, days, outside, unexplained, compared = [], [], [], [], [], 0
    for name, (first, last) in ranges.items():
        calendar, theirs = package(name, first, last)
        by_hours, by_day = 0, 0
        for date, (ends, own) in ours[name].items():
            compared += 1
            other = theirs.get(date, ())
            if ends == other:
                continue
            if own:
                by_day += 1
                days.append(f"| {name} | {date} | {clock(other, calendar.tz)} | {clock(ends, calendar.tz)} | {own} |")
            else:
                by_hours += 1
                if not any(start <= date <= end for start, end, _ in HOURS.get(name, [])):
                    unexplained.append(f"{name} {date}: {clock(other, calendar.tz)} there, {clock(ends, calendar.tz)} here")
        summary.append(f"| {name} | {by_hours} | {by_day} | {len(ours[name])} | {first} | {last} |")
        periods += [f"| {name} | {start} | {end} | {why} |" for start, end, why in HOURS.get(name, [])]
        start, end = calendar.bound_min(), calendar.bound_max()
        outside.append(f"| {name} | {start.date() if start is not None else 'none'} | {end.date() if end is not None else 'none'} |")
    if unexplained:
        sys.exit("\n".join(["differ without a reason:"] + unexplained[:20]))
    page = f"""# Where our calendars differ from exchange_calendars

Written by `oracle/compare.py`, which asks exchange_calendars {exchange_calendars.__version__} anew; do not edit. {compared:,} days of {len(ranges)} exchanges
were compared, each with its opens and closes in UTC; all that is not listed here is equal. A test holds this page to what is compiled in.

| exchange | days with other hours | other days | days compared | from | to |
| --- | --- | --- | --- | --- | --- |
{chr(10).join(summary)}

Nasdaq and Shenzhen have no calendar of their own in the package: they are compared with New York's and Shanghai's, whose days they keep.

## Hours

| exchange | from | to | why ours differ |
| --- | --- | --- | --- |
{chr(10).join(periods)}

## Days

| exchange | day | the package | here | why |
| --- | --- | --- | --- | --- |
{chr(10).join(days)}

## What lies outside

The package computes days without end, or within the bounds below; ours begin where hours are certain and end where days are
announced. Outside there is an error here.

| exchange | first day of the package | last |
| --- | --- | --- |
{chr(10).join(outside)}
"""
    (HERE / "DIFFERENCES.md").write_text(page)


if __name__ == "__main__":
    main()
