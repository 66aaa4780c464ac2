"""Bars of any exchange that ccxt knows: `command = ["python3", "ccxt_source.py", "kraken"]`. Symbols: BTC/USDT."""

import sys

import ccxt

from tape_source import Later, serve


def bars(ask):
    exchange = getattr(ccxt, sys.argv[1])({"enableRateLimit": True})
    at, end = ask.start_ns // 10**6, ask.end_ns // 10**6
    rows = []
    while at < end:
        try:
            page = exchange.fetch_ohlcv(ask.symbol, ask.frame, since=at, limit=1000)
        except ccxt.NetworkError as error:
            raise Later(error) from error
        page = [row for row in page if at <= row[0] < end]
        if not page:
            break
        rows.extend(page)
        at = page[-1][0] + 1
    return rows


serve(bars)
