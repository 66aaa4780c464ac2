#!/usr/bin/env python3
"""The 72 columns against the TA-Lib wheel (C) on real series; writes ORACLE.md beside this directory.

    pip install TA-Lib==0.8.2 numpy pandas
    TAPE_DATA=... engine/factor/oracle/wheel.py

The real series are not part of the project (see --help of the tests that use them); without TAPE_DATA nothing is written.
"""
import gzip
import io
import math
import os
import subprocess
import sys
import tempfile
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import talib

CRATE = Path(__file__).resolve().parent.parent


def calls(o, h, l, c, v):
    """The outputs of TA-Lib in the order of the columns."""
    t = talib
    upper, _, lower = t.BBANDS(c, 20, 2.0, 2.0, 0)
    mama, fama = t.MAMA(c, 0.5, 0.05)
    macd, signal, hist = t.MACD(c, 12, 26, 9)
    slow_k, slow_d = t.STOCH(h, l, c, 5, 3, 0, 3, 0)
    rsi_k, rsi_d = t.STOCHRSI(c, 14, 5, 3, 0)
    down, up = t.AROON(h, l, 14)
    in_phase, quadrature = t.HT_PHASOR(c)
    sine, lead = t.HT_SINE(c)
    mode = t.HT_TRENDMODE(c).astype(float)
    mode[:63] = np.nan  # the wheel pads integers with 0
    return [
        t.SMA(c, 20), t.EMA(c, 20), t.WMA(c, 20), t.DEMA(c, 20), t.TEMA(c, 20), t.TRIMA(c, 20), t.KAMA(c, 30),
        t.T3(c, 5, 0.7), mama, fama, t.HT_TRENDLINE(c), upper, lower, t.MIDPOINT(c, 14), t.MIDPRICE(h, l, 14),
        t.SAR(h, l, 0.02, 0.2), t.RSI(c, 14), macd, signal, hist, t.APO(c, 12, 26, 0), t.PPO(c, 12, 26, 0),
        t.ROC(c, 10), t.MOM(c, 10), t.CMO(c, 14), t.CCI(h, l, c, 14), t.WILLR(h, l, c, 14), slow_k, slow_d,
        t.STOCHF(h, l, c, 5, 3, 0)[0], rsi_k, rsi_d, t.ULTOSC(h, l, c, 7, 14, 28), t.TRIX(c, 30), t.ADX(h, l, c, 14),
        t.ADXR(h, l, c, 14), t.DX(h, l, c, 14), t.PLUS_DI(h, l, c, 14), t.MINUS_DI(h, l, c, 14), t.PLUS_DM(h, l, 14),
        t.MINUS_DM(h, l, 14), up, down, t.AROONOSC(h, l, 14), t.BOP(o, h, l, c), t.MFI(h, l, c, v, 14),
        t.ATR(h, l, c, 14), t.NATR(h, l, c, 14), t.TRANGE(h, l, c), t.STDDEV(c, 20, 1.0), t.VAR(c, 20, 1.0),
        t.OBV(c, v), t.AD(h, l, c, v), t.ADOSC(h, l, c, v, 3, 10), t.LINEARREG(c, 14), t.LINEARREG_SLOPE(c, 14),
        t.LINEARREG_ANGLE(c, 14), t.LINEARREG_INTERCEPT(c, 14), t.TSF(c, 14), t.CORREL(h, l, 30), t.BETA(h, l, 5),
        t.HT_DCPERIOD(c), t.HT_DCPHASE(c), in_phase, quadrature, sine, lead, mode, t.VWMA(c, v, 20),
        t.CMF(h, l, c, v, 20), t.EFI(c, v, 13), t.HMA(c, 20),
    ]


def series(data):
    """Name and columns of the real series; rows as they stand in the files, gaps not looked at."""
    names = ["time", "open", "high", "low", "close", "volume"]
    def take(frame):
        return [np.ascontiguousarray(frame[name].to_numpy(float)) for name in names[1:]]
    spot = pd.read_csv(data / "klines/binance_spot_BTCUSDT-1m-2025-06.csv").iloc[:, :6]
    yield "BTCUSDT 1m, June 2025", take(spot.set_axis(names, axis=1))
    hours = pd.read_csv(data / "klines/binance_spot_BTCUSDT-1h-2017-2024.csv").iloc[:, :6]
    yield "BTCUSDT 1h, 2017 to 2024", take(hours.set_axis(names, axis=1))
    frames = []
    for path in sorted((data / "klines/binance-um").glob("NEARUSDT-1m-*.zip"))[:3]:
        frames.append(pd.read_csv(path).iloc[:, :6].set_axis(names, axis=1))
    yield "NEARUSDT 1m, three months", take(pd.concat(frames))
    with gzip.open(data / "klines/LTCUSD.BITFINEX-1m.csv.gz") as file:
        thin = pd.read_csv(file, nrows=120_000).iloc[:, :6].set_axis(names, axis=1)
    yield "LTCUSD 1m, 2013, many still minutes", take(thin)
    with zipfile.ZipFile(data / "daily/hk-daily.zip") as archive:
        name = next(name for name in archive.namelist() if "0001" in name)
        days = pd.read_csv(io.BytesIO(archive.read(name))).rename(columns=str.lower)
    yield "0001.HK 1d", take(days)


def ours(columns, binary):
    """Our 72 columns and their names."""
    with tempfile.TemporaryDirectory() as directory:
        source, target = Path(directory, "in"), Path(directory, "out")
        np.concatenate(columns).astype("<f8").tofile(source)
        text = subprocess.run([binary, source, target], check=True, capture_output=True, text=True).stdout
        return text.splitlines()[0].split(), np.fromfile(target, "<f8").reshape(72, -1)


def exact(factor, columns, row):
    """The value of a factor of a window in rational arithmetic: the judge where two roundings differ."""
    o, h, l, c, v = columns
    F = Fraction
    if factor == "CCI14":
        typical = [F(float(x)) for x in ((h + l + c) / 3.0)[row - 13:row + 1]]
        mean = sum(typical) / 14
        deviation = sum(abs(x - mean) for x in typical) / 14
        return float((typical[-1] - mean) / (F(15, 1000) * deviation)) if deviation else 0.0
    if factor.startswith("LINEARREG") or factor == "TSF14":
        y = [F(float(x)) for x in c[row - 13:row + 1]]
        slope = sum((k - F(13, 2)) * x for k, x in enumerate(y)) / sum((k - F(13, 2)) ** 2 for k in range(14))
        middle = sum(y) / 14
        value = {"LINEARREG14": middle + slope * F(13, 2), "LINEARREG_INTERCEPT14": middle - slope * F(13, 2),
                 "TSF14": middle + slope * F(15, 2)}.get(factor, slope)
        return math.degrees(math.atan(float(slope))) if "ANGLE" in factor else float(value)
    if factor == "CORREL30":
        x, y = ([F(float(x)) for x in a[row - 29:row + 1]] for a in (h, l))
    elif factor == "BETA5":
        x, y = ([F(float(b)) / F(float(a)) - 1 for a, b in zip(s[row - 5:row], s[row - 4:row + 1])] for s in (h, l))
    else:
        return None
    mx, my = sum(x) / len(x), sum(y) / len(y)
    xx, yy = sum((a - mx) ** 2 for a in x), sum((b - my) ** 2 for b in y)
    xy = sum((a - mx) * (b - my) for a, b in zip(x, y))
    if factor == "BETA5":
        return float(xy / xx) if xx else 0.0
    return math.copysign(math.sqrt(float(xy * xy / (xx * yy))), xy) if xx and yy else 0.0


def build():
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "tapestore-factor", "--example", "columns"],
                   check=True, cwd=CRATE)
    target = os.environ.get("CARGO_TARGET_DIR", CRATE.parent.parent / "target")
    return Path(target, "release/examples/columns")


def errors(a, b):
    """Greatest error relative to the value, and to the value or the column's root mean square if that is greater."""
    nan = np.isnan(a) != np.isnan(b)
    if nan.any():
        return np.inf, np.inf, int(nan.argmax()), 1.0
    distance = np.nan_to_num(np.abs(a - b))
    rms = np.sqrt(np.nanmean(b * b)) or 1.0
    size = np.nan_to_num(np.abs(b))
    strict = distance / np.where(size == 0, np.where(distance == 0, 1, rms), size)
    scaled = distance / np.maximum(size, rms)
    return strict.max(), scaled.max(), int(scaled.argmax()), rms


def judged(factor, columns, a, b, rms):
    """Of all values that differ by more than 1e-9: the greatest error of ours, and of TA-Lib's, from the exact ones."""
    rows = np.flatnonzero(np.abs(a - b) > 1e-9 * np.maximum(np.abs(b), rms))
    found = [(exact(factor, columns, row), a[row], b[row]) for row in rows]
    if any(e is None for e, _, _ in found):
        return None
    return [max(abs(x[which] - x[0]) / max(abs(x[0]), rms) for x in found) for which in (1, 2)]


def main():
    if "TAPE_DATA" not in os.environ:
        sys.exit("TAPE_DATA names no directory of real series; nothing to compare with")
    binary, worst, used, judgements = build(), {}, [], []
    for name, columns in series(Path(os.environ["TAPE_DATA"])):
        names, mine = ours(columns, binary)
        theirs = calls(*columns)
        assert len(theirs) == len(names) == 72
        used.append(f"{name} ({len(columns[0]):,} bars)")
        for factor, a, b in zip(names, mine, theirs):
            strict, scaled, row, rms = errors(a, b)
            known = worst.get(factor, (0.0, -1.0, ""))
            worst[factor] = (max(strict, known[0]), *max((scaled, name), known[1:]))
            if scaled > 1e-9:
                verdict = judged(factor, columns, a, b, rms)
                print(f"{factor}: {scaled:.2e} in {name}, row {row}; from exact: {verdict}", file=sys.stderr)
                judgements.append((factor, name, scaled, verdict))
    text = ["# The 72 factors beside TA-Lib", "",
            "Generated by `engine/factor/oracle/wheel.py`; do not edit. "
            f"TA-Lib {talib.__version__} (PyPI; C core {talib.__ta_version__.decode().split()[0]}) on real series:", ""]
    text += [f"- {name}" for name in used]
    text += ["", "The first figure is the greatest error relative to the value or, where that is smaller, to the root mean square of "
             "its column; the second relative to the value alone, which says little where a column passes through nought. "
             "Where one had a value and the other none, it would be inf.", "",
             "| factor | max error | where | of the value alone |", "| --- | ---: | --- | ---: |"]
    text += [f"| {factor} | {scaled:.1e} | {where} | {strict:.1e} |" for factor, (strict, scaled, where) in worst.items()]
    if judgements:
        text += ["", "## Where they differ by more than 1e-9", "",
                 "Windows in which next to nothing moves: what is left is rounding. Both are compared with the value in rational "
                 "arithmetic, over all rows in which they differ so.", "",
                 "| factor | series | they differ by | error of ours | error of TA-Lib |", "| --- | --- | ---: | ---: | ---: |"]
        for factor, name, scaled, verdict in judgements:
            ours_, theirs_ = (f"{x:.1e}" for x in verdict) if verdict else ("-", "-")
            text.append(f"| {factor} | {name} | {scaled:.1e} | {ours_} | {theirs_} |")
    (CRATE / "ORACLE.md").write_text("\n".join(text) + "\n")
    top = max(scaled for _, scaled, _ in worst.values())
    bad = [row for row in judgements if row[3] is None or row[3][0] > 1e-9]
    print(f"72 factors, {len(used)} series, greatest difference {top:.1e}, unexplained {len(bad)}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
