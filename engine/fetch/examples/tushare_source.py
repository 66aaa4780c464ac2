"""Daily bars of A shares from Tushare Pro, unadjusted. Symbols: 600519.SH. Volume comes in lots of 100."""

import os

import tushare

from tape_source import Later, dates, inside, serve


def bars(ask):
    first, last = (date.replace("-", "") for date in dates(ask))
    pro = tushare.pro_api(os.environ["TUSHARE_TOKEN"])
    try:
        table = pro.daily(ts_code=ask.symbol, start_date=first, end_date=last)
    except Exception as error:  # The library has no classes of errors; its limits speak of times a minute.
        if "每分钟" in str(error):
            raise Later(error) from error
        raise
    rows = [
        (f"{row.trade_date[:4]}-{row.trade_date[4:6]}-{row.trade_date[6:]}", row.open, row.high, row.low, row.close, row.vol * 100)
        for row in table.itertuples()
    ]
    return inside(ask, rows)


serve(bars)
