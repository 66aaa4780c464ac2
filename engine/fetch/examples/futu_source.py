"""Bars from Futu, by way of OpenD on this machine (127.0.0.1:11111), unadjusted: 1m and 1d. Symbols: HK.00700.

Futu names minutes by their end, on the clock of the exchange; bars carry their beginning. Its quota counts symbols.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import futu

from tape_source import Later, dates, inside, serve

ZONES = {"HK": "Asia/Hong_Kong", "US": "America/New_York", "SH": "Asia/Shanghai", "SZ": "Asia/Shanghai"}


def pages(ask):
    kind = futu.KLType.K_DAY if ask.frame == "1d" else futu.KLType.K_1M
    first, last = dates(ask)
    context = futu.OpenQuoteContext(host="127.0.0.1", port=11111)
    try:
        key = None
        while True:
            code, table, key = context.request_history_kline(
                ask.symbol, start=first, end=last, ktype=kind, autype=futu.AuType.NONE, page_req_key=key
            )
            if code != futu.RET_OK:
                raise Later(table) if "频率" in str(table) else ValueError(table)
            yield table
            if key is None:
                return
    finally:
        context.close()


def bars(ask):
    zone = ZoneInfo(ZONES[ask.symbol.split(".")[0]])
    rows = []
    for table in pages(ask):
        for row in table.itertuples():
            values = (row.open, row.high, row.low, row.close, row.volume)
            if ask.frame == "1d":
                rows.append((row.time_key[:10], *values))
                continue
            end = datetime.strptime(row.time_key, "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone)
            start_ns = int((end - timedelta(minutes=1)).timestamp()) * 10**9
            if ask.start_ns <= start_ns < ask.end_ns:
                rows.append((start_ns, *values))
    return inside(ask, rows) if ask.frame == "1d" else rows


serve(bars)
