"""Bars from Yahoo by way of yfinance, which passes for a browser: 1m 5m 15m 30m 1d. Adjusted for splits, not for dividends."""

import yfinance

from tape_source import inside, serve


def bars(ask):
    ticker = yfinance.Ticker(ask.symbol)
    table = ticker.history(
        interval=ask.frame, start=ask.start_ns // 10**9, end=ask.end_ns // 10**9, auto_adjust=False, actions=False
    )
    daily = ask.frame == "1d"
    rows = [
        (
            str(stamp)[:10] if daily else int(stamp.timestamp()) * 10**9,
            row.Open,
            row.High,
            row.Low,
            row.Close,
            row.Volume,
        )
        for stamp, row in zip(table.index, table.itertuples())
    ]
    return inside(ask, rows) if daily else [row for row in rows if ask.start_ns <= row[0] < ask.end_ns]


serve(bars)
