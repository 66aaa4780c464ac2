"""Bars of A shares from Baostock, unadjusted: 1d, 5m, 15m, 30m, 1h. Symbols: sh.600519.

Baostock names minutes by their end, Shanghai time; bars carry their beginning.
"""

import sys
from datetime import datetime, timedelta, timezone

import baostock

from tape_source import dates, inside, serve

MINUTES = {"5m": 5, "15m": 15, "30m": 30, "1h": 60}
SHANGHAI = timezone(timedelta(hours=8))


def bars(ask):
    minutes = MINUTES.get(ask.frame)
    fields = "date,open,high,low,close,volume" if minutes is None else "time,open,high,low,close,volume"
    first, last = dates(ask)
    # The library prints greetings to standard output, which is for bars.
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        baostock.login()
        frequency = "d" if minutes is None else str(minutes)
        found = baostock.query_history_k_data_plus(
            ask.symbol, fields, start_date=first, end_date=last, frequency=frequency, adjustflag="3"
        )
        if found.error_code != "0":
            raise ValueError(found.error_msg)
        rows = []
        while found.next():
            rows.append(found.get_row_data())
        baostock.logout()
    finally:
        sys.stdout = out
    if minutes is None:
        return inside(ask, rows)
    answer = []
    for stamp, *values in rows:
        end = datetime.strptime(stamp[:14], "%Y%m%d%H%M%S").replace(tzinfo=SHANGHAI)
        start_ns = int((end - timedelta(minutes=minutes)).timestamp()) * 10**9
        if ask.start_ns <= start_ns < ask.end_ns:
            answer.append((start_ns, *values))
    return answer


serve(bars)
