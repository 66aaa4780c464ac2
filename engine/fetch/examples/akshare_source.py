"""Daily bars of A shares from AkShare, unadjusted. Symbols: 600519. Volume comes in lots of 100."""

import akshare

from tape_source import dates, inside, serve


def bars(ask):
    first, last = (date.replace("-", "") for date in dates(ask))
    table = akshare.stock_zh_a_hist(symbol=ask.symbol, period="daily", start_date=first, end_date=last, adjust="")
    rows = [
        (str(row["日期"])[:10], row["开盘"], row["最高"], row["最低"], row["收盘"], row["成交量"] * 100)
        for _, row in table.iterrows()
    ]
    return inside(ask, rows)


serve(bars)
