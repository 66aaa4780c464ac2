#!/usr/bin/env python3
"""Writes the calendars that are compiled in: tables/*.calendar, and what the tests compare them with: oracle/*.csv.

    python3 -m venv venv && venv/bin/pip install -r engine/calendar/oracle/requirements.txt
    venv/bin/python engine/calendar/generate.py

Tables say what exchange_calendars says, nothing else; what it does not know, or has wrong, stands in overrides/, each line
with its source. Their format is told in README.md. Run again, it writes the same bytes.
"""

import importlib.metadata
import pathlib
import zoneinfo
from datetime import datetime, timedelta, timezone

import exchange_calendars
import exchange_calendars.exchange_calendar_xhkg as hong_kong
import exchange_calendars.exchange_calendar_xshg as shanghai
import pandas

VERSION = "4.13.2"
HERE = pathlib.Path(__file__).parent
# Name, calendar of the package, title, first and last day. Before, hours are uncertain; after, days are not announced.
EXCHANGES = [
    ("XHKG", "XHKG", "Hong Kong Exchanges, securities market", "2000-01-01", "2027-12-31"),
    ("XLON", "XLON", "London Stock Exchange", "2000-01-01", "2027-12-31"),
    ("XNAS", "XNYS", "Nasdaq, regular hours", "1990-01-01", "2027-12-31"),
    ("XNYS", "XNYS", "New York Stock Exchange, regular hours", "1990-01-01", "2027-12-31"),
    ("XSHE", "XSHG", "Shenzhen Stock Exchange", "2000-01-01", "2026-12-31"),
    ("XSHG", "XSHG", "Shanghai Stock Exchange", "2000-01-01", "2026-12-31"),
    ("XTKS", "XTKS", "Tokyo Stock Exchange", "2000-01-01", "2027-12-31"),
]
ZONES = ["America/New_York", "America/Chicago", "Europe/London", "Europe/Paris", "Asia/Hong_Kong", "Asia/Shanghai", "Asia/Tokyo"]
MASK = (1 << 64) - 1


def pieces(row, zone):
    """The stretches of a day in local time, 09:30-12:00 each."""
    clock = lambda stamp: stamp.tz_convert(zone).strftime("%H:%M")
    ends = [row["open"], row["break_start"], row["break_end"], row["close"]]
    ends = [end for end in ends if not pandas.isna(end)]
    return [f"{clock(a)}-{clock(b)}" for a, b in zip(ends[::2], ends[1::2])]


def names(calendar, first, last):
    """Why days are closed, as far as the package says."""
    result = {}
    if calendar.name == "XHKG":
        lunar = [
            ("Lunar New Year", hong_kong.chinese_lunar_new_year_dates, range(-1, 4)),
            ("Ching Ming Festival", hong_kong.qingming_festival_dates, range(2)),
            ("Buddha's Birthday", hong_kong.chinese_buddhas_birthday_dates, range(2)),
            ("Dragon Boat Festival", hong_kong.dragon_boat_festival_dates, range(2)),
            ("day after Mid-Autumn Festival", hong_kong.mid_autumn_festival_dates, range(1, 3)),
            ("Double Ninth Festival", hong_kong.double_ninth_festival_dates, range(2)),
        ]
        for name, dates, shifts in lunar:
            for shift in shifts:
                result.update({date + timedelta(shift): name for date in dates})
    if calendar.name == "XSHG":
        for holidays in shanghai.precomputed_shanghai_holidays:
            result[pandas.Timestamp(holidays)] = "public holiday"
    if calendar.regular_holidays is not None:
        rules = calendar.regular_holidays.holidays(first, last, return_name=True)
        result.update({date: str(name) for date, name in rules.items()})
    return result


def table(name, source, title, first, last):
    calendar = exchange_calendars.get_calendar(source, start=first, end=last)
    zone = calendar.tz
    schedule = calendar.schedule
    days = {date: pieces(row, zone) for date, row in schedule.iterrows()}
    lines = [
        "# Written by generate.py; do not edit. What is not so stands in overrides/.",
        f"calendar {name}",
        f"title {title}",
        f"source exchange_calendars {VERSION} ({source}), times by tzdata {importlib.metadata.version('tzdata')}",
        f"zone {zone.key}",
        f"days {first} {last}",
    ]
    # Regular hours: those of most days between two changes that the package knows.
    changes = {pandas.Timestamp(first)}
    for times in (calendar.open_times, calendar.break_start_times, calendar.break_end_times, calendar.close_times):
        changes |= {since for since, _ in times or () if since is not None and since > pandas.Timestamp(first)}
    changes = sorted(changes)
    regular = {}
    for since, until in zip(changes, changes[1:] + [pandas.Timestamp(last) + timedelta(1)]):
        inside = [tuple(hours) for date, hours in days.items() if since <= date < until]
        usual = max(set(inside), key=lambda hours: (inside.count(hours), hours))
        lines.append(f"hours {since.date()} {' '.join(usual)}")
        regular[since] = list(usual)
    why = names(calendar, first, last)
    for date in pandas.date_range(first, last):
        usual = regular[max(since for since in changes if since <= date)]
        if date in days:
            assert date.weekday() < 5, f"{name} trades on the weekend of {date}"
            if days[date] != usual:
                lines.append(f"day {date.date()} {' '.join(days[date])}")
        elif date.weekday() < 5:
            lines.append(f"closed {date.date()} {why.get(date, '')}".rstrip())
    (HERE / "tables" / f"{name}.calendar").write_text("\n".join(lines) + "\n")
    return name, schedule


def checksum(values):
    """FNV-1a over whole numbers; the test does the same."""
    state = 0xCBF29CE484222325
    for value in values:
        state = ((state ^ value) * 0x100000001B3) & MASK
    return state


def digest(name, schedule):
    """Per year: days, minutes, checksum over opens and closes in minutes since 1970, UTC."""
    lines = []
    for year, rows in schedule.groupby(schedule.index.year):
        ends, minutes = [], 0
        for _, row in rows.iterrows():
            stamps = [row["open"], row["break_start"], row["break_end"], row["close"]]
            stamps = [int(stamp.timestamp()) // 60 for stamp in stamps if not pandas.isna(stamp)]
            minutes += sum(b - a for a, b in zip(stamps[::2], stamps[1::2]))
            ends += stamps
        lines.append(f"{name},{year},{len(rows)},{minutes},{checksum(ends):016x}")
    return lines


def shifts():
    """Where clocks are set, with the offset from then on in minutes, as the tz database says."""
    lines = ["zone,utc,offset_minutes"]
    for key in ZONES:
        zone = zoneinfo.ZoneInfo(key)
        at, before = datetime(1996, 1, 1, tzinfo=timezone.utc), None
        while at.year < 2038:
            offset = int(at.astimezone(zone).utcoffset().total_seconds()) // 60
            if offset != before:
                lines.append(f"{key},{at:%Y-%m-%dT%H:%M:%SZ},{offset}")
                before = offset
            at += timedelta(hours=1)
    return lines


def main():
    assert exchange_calendars.__version__ == VERSION, f"written for exchange_calendars {VERSION}"
    (HERE / "tables").mkdir(exist_ok=True)
    lines = ["exchange,year,days,minutes,checksum"]
    for exchange in EXCHANGES:
        lines += digest(*table(*exchange))
    (HERE / "oracle" / "digest.csv").write_text("\n".join(lines) + "\n")
    (HERE / "oracle" / "zones.csv").write_text("\n".join(shifts()) + "\n")


if __name__ == "__main__":
    main()
