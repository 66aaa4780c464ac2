"""Expected metrics of a small market, by pandas and numpy from the definitions: writes pandas_expected.csv beside it.

    python3 pandas_expected.py

Needs pandas and scipy. The test reads prices, signals and numbers from the file.
"""
import pathlib

import numpy as np
import pandas as pd

ROWS, CAPITAL, ALLOCATION, RATE, PER_YEAR = 400, 100_000.0, 0.1, 0.0015, 81_180.0
random = np.random.default_rng(20260105)
close = np.round(300 * np.exp(np.cumsum(random.normal(0, 0.002, ROWS))), 2)
time = pd.Timestamp("2026-01-05 01:30", tz="UTC") + pd.to_timedelta(
    [day * 1440 + minute for day in range(4) for minute in range(100)], unit="min"
)
frame = pd.DataFrame({"close": close}, index=time)
# Not causal on purpose, so that correlations are not zero.
future = frame["close"].pct_change().shift(-1).fillna(0) / 0.002
frame["noise"] = np.clip(future * 0.2 + random.normal(0, 0.5, ROWS), -1, 1)
frame["steps"] = np.sign(future.rolling(7).mean())
frame["ties"] = np.round(np.clip(random.normal(0, 0.5, ROWS) + 0.1 * future, -1, 1) * 4) / 4
frame.loc[frame.index[50:60], "ties"] = np.nan


def metrics(signal: pd.Series, flat: bool) -> dict[str, float]:
    returns = frame["close"].pct_change().fillna(0)
    position = (signal.fillna(0).shift(1) * ALLOCATION).fillna(0)
    change = position.diff().abs().fillna(0)
    cost = (change > 0) * RATE * ALLOCATION if flat else change * RATE
    net = position * returns - cost
    equity = CAPITAL * (1 + net).cumprod()
    logs = np.log1p(net).cumsum()
    forward = frame["close"].shift(-1) / frame["close"] - 1
    pairs = pd.DataFrame({"s": signal, "f": forward}).dropna()
    daily = pairs.groupby(pairs.index.date).apply(lambda day: day["s"].corr(day["f"]))
    peak = np.maximum.accumulate(np.concatenate([[CAPITAL], equity]))[1:]
    return {
        "total_return": equity.iloc[-1] / CAPITAL - 1,
        "sharpe": net.mean() / net.std() * np.sqrt(PER_YEAR),
        "max_drawdown": (equity / peak - 1).min(),
        "stability": np.corrcoef(np.arange(ROWS), logs)[0, 1] ** 2,
        "bar_win_rate": (net > 0).sum() / (net != 0).sum(),
        "profit_factor": net[net > 0].sum() / -net[net < 0].sum(),
        "mean_order_bar": net[change > 0].mean(),
        "turnover": change.mean() * PER_YEAR,
        "ic": pairs["s"].corr(pairs["f"]),
        "rank_ic": pairs["s"].corr(pairs["f"], method="spearman"),
        "icir": daily.mean() / daily.std(),
        "autocorrelation": np.corrcoef(net[:-1], net[1:])[0, 1],
    }


lines = ["kind,name,number,value"]
for name in frame.columns:
    lines += [f"column,{name},{row},{value!r}" for row, value in enumerate(frame[name].tolist())]
for name in frame.columns[1:]:
    for flat in (False, True):
        mode = "flat" if flat else "proportional"
        lines += [f"{mode},{name},{key},{float(value)!r}" for key, value in metrics(frame[name], flat).items()]
pathlib.Path(__file__).with_suffix(".csv").write_text("\n".join(lines) + "\n")
