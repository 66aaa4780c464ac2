#!/usr/bin/env python3
"""Alpha158 against pandas; writes ALPHA158.md, and values for the test of the crate (tests/alpha158.csv).

    pip install numpy pandas TA-Lib==0.8.2
    TAPE_DATA=... engine/factor/oracle/alpha158.py

The formulas are written anew here, from Qlib's, without its engine: windows by pandas' rolling with all of their rows
asked for. Where pandas rounds a variance that is nought (Corr, Rsquare), numpy takes each window by itself.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

import wheel

CRATE = Path(__file__).resolve().parent.parent
WINDOWS = [5, 10, 20, 30, 60]


def by_window(x, n, of):
    """`of` of all full windows at once."""
    out = np.full(len(x), np.nan)
    if len(x) >= n:
        with np.errstate(all="ignore"):
            out[n - 1:] = of(sliding_window_view(x.to_numpy(), n))
    out[~np.isfinite(out)] = np.nan
    return pd.Series(out)


def line(windows):
    k = np.arange(windows.shape[1]) - (windows.shape[1] - 1) / 2
    centred = windows - windows.mean(axis=1, keepdims=True)
    slope = centred @ k / (k @ k)
    squares = (centred * centred).sum(axis=1)
    explained = np.where(np.ptp(windows, axis=1) == 0, np.nan, (slope * (centred @ k)) / squares)
    return slope, explained, centred[:, -1] - slope * k[-1]


def corr(x, y, n):
    out = np.full(len(x), np.nan)
    a, b = (sliding_window_view(s.to_numpy(), n) for s in (x, y))
    with np.errstate(all="ignore"):
        da, db = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
        value = (da * db).sum(axis=1) / np.sqrt((da * da).sum(axis=1) * (db * db).sum(axis=1))
        flat = (np.ptp(a, axis=1) == 0) | (np.ptp(b, axis=1) == 0)
    out[n - 1:] = np.where(flat, np.nan, value)
    return pd.Series(out)


def alpha158(o, h, l, c, v):
    """Name to column."""
    o, h, l, c, v = (pd.Series(x) for x in (o, h, l, c, v))
    hi, lo = np.maximum(o, c), np.minimum(o, c)
    out = {"KMID": (c - o) / o, "KLEN": (h - l) / o, "KMID2": (c - o) / (h - l + 1e-12), "KUP": (h - hi) / o,
           "KUP2": (h - hi) / (h - l + 1e-12), "KLOW": (lo - l) / o, "KLOW2": (lo - l) / (h - l + 1e-12),
           "KSFT": (2 * c - h - l) / o, "KSFT2": (2 * c - h - l) / (h - l + 1e-12),
           "OPEN0": o / c, "HIGH0": h / c, "LOW0": l / c, "VWAP0": (h + l + c) / 3 / c}
    dc, dv = c.diff(), v.diff()
    up, down = (c > c.shift()).astype(float), (c < c.shift()).astype(float)
    up[0] = down[0] = np.nan
    logv = np.log(v + 1)
    with np.errstate(all="ignore"):
        ratio, logr = c / c.shift(), np.log(v / v.shift() + 1)
        logr[~np.isfinite(logr)] = np.nan
        weighted = (c / c.shift() - 1).abs() * v
    rows = {}
    for n in WINDOWS:
        r = lambda s: s.rolling(n, min_periods=n)
        parts = [by_window(c, n, lambda w, i=i: line(w)[i]) for i in range(3)]
        top, bottom = r(h).max(), r(l).min()
        imax = by_window(h, n, lambda w: w.argmax(axis=1) + 1.0)
        imin = by_window(l, n, lambda w: w.argmin(axis=1) + 1.0)
        sums = lambda s: by_window(s, n, lambda w: w.sum(axis=1))
        means = lambda s: by_window(s, n, lambda w: w.mean(axis=1))
        stds = lambda s: by_window(s, n, lambda w: w.std(axis=1, ddof=1))
        gain, loss, moved = sums(dc.clip(lower=0)), sums((-dc).clip(lower=0)), sums(dc.abs()) + 1e-12
        vgain, vloss, vmoved = sums(dv.clip(lower=0)), sums((-dv).clip(lower=0)), sums(dv.abs()) + 1e-12
        rows[n] = {"ROC": c.shift(n) / c, "MA": means(c) / c, "STD": stds(c) / c, "BETA": parts[0] / c, "RSQR": parts[1],
                   "RESI": parts[2] / c, "MAX": top / c, "MIN": bottom / c, "QTLU": r(c).quantile(0.8) / c,
                   "QTLD": r(c).quantile(0.2) / c, "RANK": r(c).rank(pct=True), "RSV": (c - bottom) / (top - bottom + 1e-12),
                   "IMAX": imax / n, "IMIN": imin / n, "IMXD": (imax - imin) / n, "CORR": corr(c, logv, n),
                   "CORD": corr(ratio, logr, n), "CNTP": means(up), "CNTN": means(down), "CNTD": means(up) - means(down),
                   "SUMP": gain / moved, "SUMN": loss / moved, "SUMD": (gain - loss) / moved,
                   "VMA": means(v) / (v + 1e-12), "VSTD": stds(v) / (v + 1e-12),
                   "WVMA": stds(weighted) / (means(weighted) + 1e-12), "VSUMP": vgain / vmoved, "VSUMN": vloss / vmoved,
                   "VSUMD": (vgain - vloss) / vmoved}
    for name in rows[5]:
        for n in WINDOWS:
            out[f"{name}{n}"] = rows[n][name]
    assert len(out) == 158
    return {name: column.to_numpy() for name, column in out.items()}


def ours(columns, binary):
    with tempfile.TemporaryDirectory() as directory:
        source, target = Path(directory, "in"), Path(directory, "out")
        np.concatenate(columns).astype("<f8").tofile(source)
        text = subprocess.run([binary, source, target, "1", "alpha158"], check=True, capture_output=True, text=True).stdout
        names, took = text.splitlines()
        return names.split(), np.fromfile(target, "<f8").reshape(158, -1), float(took)


def freeze():
    """Bars and values for the test: what pandas says of the last five of 80 bars."""
    random = np.random.default_rng(158)
    close = 100 + np.cumsum(random.integers(-4, 5, 80)) / 4
    open_ = close + random.integers(-3, 4, 80) / 4
    high = np.maximum(open_, close) + random.integers(0, 4, 80) / 4
    low = np.minimum(open_, close) - random.integers(0, 4, 80) / 4
    volume = random.integers(1, 1000, 80).astype(float)
    lines = ["bar," + ",".join(map(repr, map(float, row))) for row in zip(open_, high, low, close, volume)]
    for name, column in alpha158(open_, high, low, close, volume).items():
        lines.append(name + "," + ",".join(repr(float(value)) for value in column[-5:]))
    (CRATE / "tests/alpha158.csv").write_text("\n".join(lines) + "\n")


def main():
    freeze()
    if "TAPE_DATA" not in os.environ:
        sys.exit("TAPE_DATA names no directory of real series; only the values of the test were written")
    binary, worst, used = wheel.build(), {}, []
    for name, columns in wheel.series(Path(os.environ["TAPE_DATA"])):
        columns = [column[:20_000] for column in columns]
        names, mine, _ = ours(columns, binary)
        theirs = alpha158(*columns)
        assert list(theirs) == names
        used.append(f"{name} ({len(columns[0]):,} bars)")
        for factor, a in zip(names, mine):
            strict, scaled, row, _ = wheel.errors(a, theirs[factor])
            known = worst.get(factor, (0.0, -1.0, ""))
            worst[factor] = (max(strict, known[0]), *max((scaled, name), known[1:]))
            if scaled > 1e-9:
                print(f"{factor}: {scaled:.2e} in {name}, row {row}: {a[row]} {theirs[factor][row]}", file=sys.stderr)
    text = ["# Alpha158 beside pandas", "",
            f"Generated by `engine/factor/oracle/alpha158.py`; do not edit. pandas {pd.__version__}, numpy {np.__version__}, on real series:", ""]
    text += [f"- {name}" for name in used]
    text += ["", "The greatest error relative to the value or, where that is smaller, to the root mean square of its column.", "",
             "| factor | max error | where |", "| --- | ---: | --- |"]
    text += [f"| {factor} | {scaled:.1e} | {where} |" for factor, (_, scaled, where) in worst.items()]
    (CRATE / "ALPHA158.md").write_text("\n".join(text) + "\n")
    top = max(scaled for _, scaled, _ in worst.values())
    print(f"158 factors, {len(used)} series, greatest error {top:.1e}")
    sys.exit(0 if top <= 1e-9 else 1)


main()
