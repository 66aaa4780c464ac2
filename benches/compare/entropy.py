#!/usr/bin/env python3
"""What the numbers that the format codes hold: bounds for sizes, and what else real data offers.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy pyarrow
    /tmp/peers/bin/python entropy.py [--data DIR] [PART of a file's name ...]

Prints tables in Markdown, for every file of bars, trades and quotes: bits that adaptive coders would take for each column as
the format sees it (mantissas of one scale for each 65,536 rows; prices predicted as in codecs.md, *Group*), beside the
sizes in `results.json` and the aims. `format-spec/decisions/0025-*.md` says what follows from them.

What a coder takes is not the plain entropy of counts, which is nothing for a column whose values are all distinct: it is
the code length of a coder that starts without counts and learns them (`learned`), in one of these models, whichever is
shortest for the column:

- classes: decimal places taken out, number of bits and a few bits behind the highest, learned; the bits below as they are.
  Learned anew in each chunk of 65,536 rows, as the cold tier does, or over the whole file;
- values: each value learned as a symbol; a value that is new costs what its class and bits cost.

Contexts are given their own counts; a value that is new in its context costs what it costs without.
"""

import argparse
import functools
import gzip
import io
import json
import math
import pathlib
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.csv

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE / "../../../shared/data"
CHUNK, BLOCK = 65_536, 1024
TICKS = ["AIG_trade_201310", "AIG_quote_201310_head", "SPY_trade_201310"]
POWERS = 10 ** np.arange(19, dtype=np.int64)
# Bits that tell a class which was not seen before.
NEW_CLASS = 10.0


# Files.

def table(text):
    return pa.csv.read_csv(io.BytesIO(text))


def columns(tab):
    """Arrays by name; times as they are."""
    out = {}
    for name, column in zip(tab.column_names, tab.columns):
        if pa.types.is_string(column.type):
            column = column.dictionary_encode().combine_chunks()
            column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
            out[name] = column.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        elif pa.types.is_timestamp(column.type):
            out[name] = column.cast("timestamp[ms]").cast("int64").to_numpy()
        else:
            out[name] = column.to_numpy()
    return out


def bars(data):
    """Every file of bars: its name in results.json, times in milliseconds, and five columns of doubles."""
    root = data / "klines"
    for symbol in ["NEARUSDT", "FILUSDT"]:
        parts = []
        for path in sorted((root / "binance-um").glob(f"{symbol}*.zip")):
            with zipfile.ZipFile(path) as archive:
                for name in sorted(archive.namelist()):
                    parts.append(table(archive.read(name)).select(range(6)))
        names = parts[0].column_names
        joined = pa.concat_tables([part.rename_columns(names) for part in parts], promote_options="permissive")
        yield f"{symbol}.BINANCE-UM-1m", joined
    paths = [root / f"ladder/{s}_{f}.csv.gz" for s in ["ADAUSDT", "DOGEUSDT"] for f in ["1m", "5m", "15m", "30m", "60m", "240m"]]
    paths += [root / f"binance_spot_{name}.csv" for name in ["BTCUSDT-1h-2017-2024", "BTCUSDT-1m-2025-06"]]
    paths += [root / f"{name}.BITFINEX-1m.csv.gz" for name in ["EOSUSD", "LTCUSD", "BTCUSD"]]
    for path in paths:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
        yield path.name.removesuffix(".gz").removesuffix(".csv"), table(raw).select(range(6))


def ascending(tab):
    """Times, and five columns as doubles; rows that do not follow the one before are left out."""
    found = list(columns(tab).values())
    times = found[0].astype(np.int64)
    keep = np.concatenate([[True], times[1:] > np.maximum.accumulate(times)[:-1]])
    return times[keep], [column[keep].astype(np.float64) for column in found[1:]]


# Numbers as the format has them.

def mantissas(values, places):
    """Nearest mantissas, and where they do not give the value back."""
    scaled = np.rint(values * 10.0**places)
    held = np.abs(scaled) < 2.0**53
    return np.where(held, scaled, 0).astype(np.int64), ~held | (scaled / 10.0**places != values)


def difference_bits(values, places):
    """Length of the difference of an exception's bits from the nearest decimal's, zigzag."""
    near = np.rint(values * 10.0**places) / 10.0**places
    return np.floor(np.log2(np.abs(values.view(np.int64) - near.view(np.int64)) + 0.5)) + 2


def scale(samples):
    """Decimal places of a chunk, as the encoder weighs them: 10^places widens all, exceptions take bytes of their own."""
    step = max(1, len(samples) // 2048)
    few, best = samples[::step], None
    for places in range(0, 12):
        _, strays = mantissas(few, places)
        if strays.mean() <= 0.5:
            cost = (10 + 8 * np.ceil(difference_bits(few[strays], places) / 7)).sum() + len(few) * places * math.log2(10)
            best = min(best or (math.inf, 0), (cost, places))
    return best[1] if best else 8


# Code lengths.

def lengths(numbers):
    """Bits of magnitudes."""
    return np.frexp(np.abs(numbers).astype(np.float64))[1].astype(np.int64)


def learned(counts, discount=0.0, strength=0.5):
    """Bits to tell symbols in their order, learning how often each comes; new ones only as *new*.

    With `t` symbols before, of `d` kinds, one that came `c` times has the probability (c - discount) / (t + strength), a
    new one (strength + discount * d) / (t + strength). The product does not depend on the order.
    """
    counts = counts[counts > 0]
    total, kinds = int(counts.sum()), len(counts)
    if total == 0:
        return 0.0
    return float(table_of(strength, 1)[total] - table_of(strength, discount)[kinds] - table_of(1 - discount, 1)[counts - 1].sum())


@functools.cache
def table_of(first, step):
    """Sums of the binary logarithms of first, first + step, ..."""
    return np.concatenate([[0.0], np.cumsum(np.log2(first + step * np.arange(3_000_000)))])


def joined(*parts):
    """One number for what a row has in these arrays."""
    out = np.zeros(len(parts[0]), dtype=np.int64)
    for part in parts:
        _, codes = np.unique(part, return_inverse=True)
        out = np.unique(out * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1]
    return out


def split(numbers, places):
    """Decimal places taken out, and what is left."""
    rest, zeros = numbers.copy(), np.zeros(len(numbers), dtype=np.int64)
    for _ in range(10 if places else 0):
        more = (rest != 0) & (rest % 10 == 0)
        if not more.any():
            break
        rest[more] //= 10
        zeros[more] += 1
    return zeros, rest


def classes(zeros, rest, extra):
    """Symbols of classes, and the bits below."""
    size = lengths(rest)
    low = np.maximum(size - 1 - extra, 0)
    return (((zeros * 65 + size) * 2 + (rest < 0)) << extra) + ((np.abs(rest) >> low) & ((1 << extra) - 1)), low


def pieces(count, size=CHUNK):
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def by_class(numbers, context=None, chunks=True):
    """Bits in classes: the shortest of some."""
    found, contexts = math.inf, 0 if context is None else int(context.max()) + 1
    for places in (False, True) if (numbers % 10 == 0).mean() > 0.12 else (False,):
        zeros, rest = split(numbers, places)
        for extra in (0, 1, 2, 3, 5, 8) if context is None else (0, 1, 2, 3, 5):
            symbols, low = classes(zeros, rest, extra)
            if context is None:
                for size in {CHUNK if chunks else len(numbers), len(numbers)}:
                    bits = float(low.sum())
                    for piece in pieces(len(numbers), size):
                        counts = np.bincount(symbols[piece])
                        bits += learned(counts, 0.1) + NEW_CLASS * np.count_nonzero(counts)
                    found = min(found, bits)
                continue
            kinds = int(symbols.max()) + 1
            for size in {CHUNK if chunks else len(numbers), len(numbers)}:
                bits = float(low.sum())
                for piece in pieces(len(numbers), size):
                    both = context[piece] * kinds + symbols[piece]
                    counts = np.bincount(both, minlength=contexts * kinds).reshape(contexts, kinds)
                    # What is new in its context is told among what is known without, about three bits.
                    bits += NEW_CLASS * np.count_nonzero(counts.any(axis=0)) + 3 * np.count_nonzero(counts)
                    bits += sum(learned(part, 0.1) for part in counts if part.any())
                found = min(found, bits)
    return found


def by_value(numbers, context=None):
    """Bits with a symbol for each value over the whole file."""
    kinds, codes, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    if context is not None and len(kinds) > 20_000:
        return math.inf
    # In order of size: chunks of them would tell the size for nothing.
    new = by_class(kinds, chunks=False)
    if context is None:
        return new + min(learned(counts, discount) for discount in (0.0, 0.3, 0.6, 0.85))
    alone = -np.log2(counts / counts.sum())
    pairs, times = np.unique(context * len(kinds) + codes, return_counts=True)
    within, values = np.divmod(pairs, len(kinds))
    groups = np.split(times, np.flatnonzero(np.diff(within)) + 1)
    told = min(sum(learned(group, discount) for group in groups) for discount in (0.3, 0.6, 0.85))
    return new + told + float(alone[values].sum())


def best(numbers, context=None):
    """Bits of the shortest model."""
    if context is not None:
        context = np.unique(context, return_inverse=True)[1]
        if int(context.max()) >= 4000:
            return by_value(numbers, context)
    return min(by_class(numbers, context), by_value(numbers, context))


def buckets(values, parts=12):
    """Contexts: which of some equally frequent ranges a value is in."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, parts + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def recent(values, rows=8):
    """Logarithm of the mean magnitude of some rows before."""
    sums = np.concatenate([[0.0], np.cumsum(np.abs(values.astype(np.float64)))])
    at = np.arange(len(values))
    start = np.maximum(at - rows, 0)
    return np.log2((sums[at] - sums[start]) / np.maximum(at - start, 1) + 0.5)


def before(values, rows=1, first=0):
    out = np.full(len(values), first, dtype=values.dtype)
    out[rows:] = values[:-rows]
    return out


# Bars.

class Bars:
    """A file of bars as the format has it."""

    def __init__(self, times, values):
        self.times, self.values, self.rows = times, values, len(times)
        count = self.rows
        self.numbers = [np.zeros(count, dtype=np.int64) for _ in range(5)]
        self.strays = [np.zeros(count, dtype=bool) for _ in range(5)]
        self.places = np.zeros((2, count), dtype=np.int64)
        self.stray_bits = np.zeros(5)
        for piece in pieces(count):
            price = scale(np.stack([column[piece] for column in values[:4]], axis=1).ravel())
            for column in range(5):
                part = values[column][piece]
                places = price if column < 4 else scale(part)
                numbers, strays = mantissas(part, places)
                divisor = np.gcd.reduce(numbers[~strays]) if column == 4 and not strays.all() else 1
                self.numbers[column][piece] = numbers // max(int(divisor), 1)
                self.strays[column][piece] = strays
                self.places[column // 4, piece] = places
                found = difference_bits(part[strays], places)
                self.stray_bits[column] += float((8 * np.ceil(found / 7)).sum()) + 10 * strays.sum()
        o, h, l, c = self.numbers[:4]
        last = before(c, first=c[0])
        self.residuals = [o - last, h - np.maximum(o, c), np.minimum(o, c) - l, c - last]
        self.volume = self.numbers[4]

    def contexts(self):
        """What a coder could look at: for each price and the volume."""
        o, h, l, c = self.residuals
        body = np.log2(np.abs(c) + 1.0)
        width = np.log2(h + l + np.abs(c - o) + 1.0)
        busy = np.log2(np.abs(self.volume) + 1.0)
        wide = recent(h + l + np.abs(c - o))
        return {
            "open": buckets(recent(o)), "high": joined(buckets(body, 6), buckets(wide, 6)),
            "low": joined(buckets(body, 4), buckets(wide, 4), buckets(np.log2(np.abs(h) + 1.0), 4)), "close": buckets(wide),
            "volume": joined(buckets(width, 8), buckets(recent_log(busy), 8)),
        }


class Finer(Bars):
    """The same with further digits (decision 0028): mantissas of the places that most prices of a chunk have, what the others
    have beyond, up to eight places, beside them, once for all prices of a row that are the same."""

    PLACES = 8

    def __init__(self, bars):
        self.times, self.values, self.rows, self.volume = bars.times, bars.values, bars.rows, bars.volume
        self.numbers, self.strays, self.places = [list(bars.numbers), list(bars.strays), bars.places.copy()]
        self.numbers[:4] = [column.copy() for column in bars.numbers[:4]]
        self.strays[:4] = [column.copy() for column in bars.strays[:4]]
        self.stray_bits = np.array([0.0, 0.0, 0.0, 0.0, bars.stray_bits[4]])
        told, self.digit_bits = [], 0.0
        for piece in pieces(self.rows):
            values = [column[piece] for column in self.values[:4]]
            ways = [finer(values, places) for places in range(self.PLACES + 1)]
            way = min(ways, key=lambda way: way["bits"])
            for column in range(4):
                self.numbers[column][piece] = way["numbers"][column]
                self.strays[column][piece] = way["strays"][column]
                self.stray_bits[column] += way["stray_bits"][column]
            self.places[0, piece] = way["places"]
            self.digit_bits += way["rows"]
            told.append(way["told"])
        told = np.concatenate(told)
        self.digit_bits += best(told) if len(told) else 0.0
        o, h, l, c = self.numbers[:4]
        last = before(c, first=c[0])
        self.residuals = [o - last, h - np.maximum(o, c), np.minimum(o, c) - l, c - last]


def finer(values, places):
    """Four prices of a chunk with mantissas of so many places and further digits, and the bits of all that."""
    unit = 10 ** (Finer.PLACES - places)
    numbers, digits, strays, stray_bits = [], [], [], []
    for column in values:
        long, stray = mantissas(column, Finer.PLACES)
        near = np.rint(column * 10.0**places).astype(np.int64)
        numbers.append(near)
        digits.append(np.where(stray, 0, long - near * unit))
        strays.append(stray)
        bits = difference_bits(column[stray], places)
        stray_bits.append(float((8 * np.ceil(bits / 7)).sum()) + 10 * stray.sum())
    (o, h, l, c), (do, dh, dl, dc) = numbers, digits
    last, dlast = before(c, first=c[0]), before(dc)
    high = np.where(o > c, do, np.where(c > o, dc, np.maximum(do, dc)))
    low = np.where(o < c, do, np.where(c < o, dc, np.minimum(do, dc)))
    carried = [
        np.where(o == last, dlast, np.where(o == c, dc, 0)), np.where(h == np.maximum(o, c), high, 0),
        np.where(l == np.minimum(o, c), low, 0), np.zeros_like(dc),
    ]
    told, rows = [], 0.0
    for own, other in zip(digits, carried):
        differs = own != other
        # Which rows are told: learned, where there would be digits and where there would be none.
        rows += sum(learned(np.bincount(differs[(other != 0) == some], minlength=2)) for some in (False, True))
        told.append(own[differs])
    told = np.concatenate(told)
    last = [o - last, h - np.maximum(o, c), np.minimum(o, c) - l, c - last]
    bits = rows + sum(stray_bits) + sum(by_class(column) for column in last) + (by_class(told) if len(told) else 0.0)
    return {"bits": bits, "places": places, "numbers": numbers, "strays": strays, "stray_bits": stray_bits, "told": told, "rows": rows}


def recent_log(values):
    """Mean of eight rows before."""
    return recent(np.maximum(values, 0) * 1000)


def gaps(bars):
    """Bits of what stands between times: 0 for the next bar, else the missing bars."""
    steps = np.diff(bars.times)
    return best(steps // steps.min() - 1) if len(steps) else 0.0


def fine(bars, column):
    """Bits of exceptions if they were told as digits behind the mantissa, or as the price that bounds or precedes it."""
    strays, values = bars.strays[column], bars.values
    o, h, l, c = values[:4]
    source = {0: before(c, first=c[0]), 1: np.maximum(o, c), 2: np.minimum(o, c), 3: before(c, first=c[0])}.get(column)
    bits = 0.0
    same = strays & (values[column] == source) if source is not None else np.zeros_like(strays)
    # Whether there is an exception; where the source has one, whether it is the same; the digits of the others.
    source_stray = np.zeros_like(strays)
    if source is not None and column < 4:
        source_stray = np.rint(source * 10.0**bars.places[0]) / 10.0**bars.places[0] != source
    state = strays.astype(np.int64) + same
    for piece in pieces(bars.rows):
        for context in (False, True):
            bits += learned(np.unique(state[piece][source_stray[piece] == context], return_counts=True)[1]) + 2
    left = np.flatnonzero(strays & ~same)
    long = np.rint(values[column][left] * 1e8)
    exact = long / 1e8 == values[column][left]
    coarse = np.rint(values[column][left] * 10.0**bars.places[column // 4][left])
    places = bars.places[column // 4][left]
    digits = (long - coarse * 10.0 ** (8 - places)).astype(np.int64)
    if exact.any():
        bits += by_class(digits[exact])
    if not exact.all():
        far = left[~exact]
        bits += difference_bits(values[column][far], 0).sum() if column < 4 else bars.stray_bits[column] * (~exact).mean()
    return bits, float(same.sum() / max(strays.sum(), 1))


def eight(bars):
    """Bits of the prices with eight places and no exceptions, where that is less in a chunk than what is told now."""
    now, then = 0.0, 0.0
    for piece in pieces(bars.rows):
        strays = [column[piece] for column in bars.strays[:4]]
        here = sum(by_class(column[piece]) for column in bars.residuals)
        for values, stray, places in zip(bars.values, strays, [bars.places[0][piece]] * 4):
            found = difference_bits(values[piece][stray], int(places[0]))
            here += float((8 * np.ceil(found / 7)).sum()) + 10 * stray.sum()
        now += here
        if not np.logical_or.reduce(strays).any():
            then += here
            continue
        o, h, l, c = [np.rint(column[piece] * 1e8).astype(np.int64) for column in bars.values[:4]]
        last = before(c, first=c[0])
        long = [o - last, h - np.maximum(o, c), np.minimum(o, c) - l, c - last]
        then += min(here, sum(by_class(column) for column in long))
    return now, then


def geometric(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def smallest_parquet(entry):
    found = {name: size["bytes"] for name, size in entry["contenders"].items() if name.startswith("parquet")}
    return min(found.values())


def tapestore(entry, tier):
    found = entry["contenders"][f"tapestore {tier}"]
    return found["bytes"], found["columns"]


NAMES = ["open", "high", "low", "close", "volume"]


def row(*cells):
    print("| " + " | ".join(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |")


def heading(title, *cells):
    print(f"\n## {title}\n")
    row(*cells)
    row("---", *["---:"] * (len(cells) - 1))


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("parts", nargs="*")
    asked.add_argument("--data", type=pathlib.Path, default=DATA)
    asked = asked.parse_args()
    wanted = lambda name: not asked.parts or any(part in name for part in asked.parts)
    results = {entry["file"]: entry for entry in json.loads((HERE / "results.json").read_text())["sizes"]}
    files = [(name, Bars(*ascending(tab))) for name, tab in bars(asked.data) if wanted(name)]
    if files:
        reached = bounds(files, results)
        aims(files, results, reached)
        exceptions(files)
        volumes(files)
        looked_for(files)
        digits(files)
        lots(files)
    ticks(asked.data, results, wanted)


def bounds(files, results):
    heading("Bars: bits that adaptive coders take, as bytes a row", "file", *NAMES, "times", "exceptions", "further digits", "sum",
            "with contexts", "cold now: five columns", "cold now: all", "sum without further digits")
    reached = {}
    for name, file in files:
        before_digits, digits = 0.0, 0.0
        if file.stray_bits[:4].any():
            now, then = eight(file)
            before_digits = sum(map(best, [*file.residuals, file.volume])) + gaps(file) + float(file.stray_bits.sum()) + min(then - now, 0.0)
            file = Finer(file)
            digits = file.digit_bits
        told = dict(zip(["open", "high", "low", "close"], file.residuals), volume=file.volume)
        plain = {column: best(numbers) for column, numbers in told.items()}
        contexts = file.contexts()
        given = {column: min(plain[column], best(numbers, contexts[column])) for column, numbers in told.items()}
        rest = gaps(file), float(file.stray_bits.sum())
        per = 8 * file.rows
        rest = *rest, digits
        total, least = sum(plain.values()) + sum(rest), sum(given.values()) + sum(rest)
        size, parts = tapestore(results[name], "cold")
        row(name, *[plain[column] / per for column in NAMES], *[bits / per for bits in rest], total / per, least / per,
            sum(parts[column] for column in NAMES) / file.rows, size / file.rows, (before_digits or total) / per)
        reached[name] = {"plain": total / per, "given": least / per, "volume": plain["volume"] / per,
                         "volume given": given["volume"] / per, "by column": {k: (plain[k] / per, given[k] / per) for k in NAMES}}
    return reached


def aims(files, results, reached):
    heading("Bars: the aims beside that", "file", "smallest Parquet", "dense", "0.56 of it", "0.50 of it", "cold", "0.40 of it",
            "coders", "with contexts", "volume alone", "volume with contexts", "coders / Parquet", "with contexts / Parquet")
    ratios, volumes = ([], []), []
    for name, file in files:
        entry, found = results[name], reached[name]
        parquet = smallest_parquet(entry) / file.rows
        sizes = [tapestore(entry, tier)[0] / file.rows for tier in ("dense", "cold")]
        row(name, parquet, sizes[0], 0.56 * parquet, 0.5 * parquet, sizes[1], 0.4 * parquet, found["plain"], found["given"],
            found["volume"], found["volume given"], found["plain"] / parquet, found["given"] / parquet)
        ratios[0].append(found["plain"] / parquet)
        ratios[1].append(found["given"] / parquet)
        volumes.append(found["volume"] / parquet)
    row("geometric mean", *[""] * 10, geometric(ratios[0]), geometric(ratios[1]))
    above = lambda found, aim: sum(ratio > aim for ratio in found)
    print(f"\nOf {len(files)} files coders take more than 0.56 of Parquet on {above(ratios[0], 0.56)}, with contexts on "
          f"{above(ratios[1], 0.56)}; volume alone takes more than 0.40 of it on {above(volumes, 0.4)}.")
    heading("Bars: what contexts give, bytes a row", "file", *NAMES)
    for name, _ in files:
        row(name, *[f"{a:.3f} → {b:.3f}" for a, b in (reached[name]["by column"][column] for column in NAMES)])


def exceptions(files):
    heading("Bars: values that are no decimals of the scale, and what they take, bytes a row", "file",
            *[f"{name}, share" for name in NAMES], "bits of floats (K11), prices", "digits or same, prices", "K11, volume",
            "digits, volume", "open, high, low the same as what predicts them", "prices and exceptions by chunk", "or with eight places")
    for name, file in files:
        if not any(strays.any() for strays in file.strays):
            continue
        per = 8 * file.rows
        found = [fine(file, column) for column in range(5)]
        row(name, *[f"{strays.mean():.1%}" for strays in file.strays], file.stray_bits[:4].sum() / per,
            sum(bits for bits, _ in found[:4]) / per, file.stray_bits[4] / per, found[4][0] / per,
            ", ".join(f"{same:.0%}" for _, same in found[:3]), *[bits / per for bits in eight(file)])


def volumes(files):
    heading("Volume: bytes a row, and what knowing more saves", "file", "alone", "given the range", "given the eight before",
            "given both", "given flat bars", "given hour of day")
    for name, file in files:
        per = 8 * file.rows
        o, h, l, c = file.residuals
        width = np.log2(h + l + np.abs(c - o) + 1.0)
        earlier = recent_log(np.log2(np.abs(file.volume) + 1.0))
        flat = ((file.values[1] == file.values[2])).astype(np.int64)
        hour = (file.times // 3_600_000 % 24).astype(np.int64)
        alone = best(file.volume)
        contexts = buckets(width), buckets(earlier), joined(buckets(width, 8), buckets(earlier, 8)), flat, hour
        row(name, alone / per, *[f"{(alone - best(file.volume, context)) / per:.3f}" for context in contexts])


def looked_for(files):
    heading("Bars: what else there might be", "file", "flat", "open = close before", "row as before (prices)",
            "volume as before", "volume as one of 16 before", "one bitmap for zeros of high and low saves, B",
            "gcd of blocks beyond the chunk's: volume, bits", "prices, bits", "places of blocks: volume, bits")
    for name, file in files:
        o, h, l, c = file.values[:4]
        same = np.logical_and.reduce([column[1:] == column[:-1] for column in file.values[:4]]).mean()
        v = file.volume
        near = np.zeros(file.rows, dtype=bool)
        for back in range(1, 17):
            near[back:] |= v[back:] == v[:-back]
        zeros = [file.residuals[1] == 0, file.residuals[2] == 0]
        both = entropy(np.unique(zeros[0] * 2 + zeros[1], return_counts=True)[1])
        apart = sum(entropy(np.unique(zero, return_counts=True)[1]) for zero in zeros)
        divisors = [0.0, 0.0, 0.0]
        for chunk in pieces(file.rows):
            strays = np.logical_or.reduce([file.strays[column][chunk] for column in range(4)])
            prices = np.concatenate([file.numbers[column][chunk][~strays] for column in range(4)])
            whole = max(int(np.gcd.reduce(prices)), 1) if len(prices) else 1
            for block in pieces(file.rows, BLOCK):
                if not chunk.start <= block.start < chunk.stop:
                    continue
                part = v[block][~file.strays[4][block]]
                divisor = max(int(np.gcd.reduce(part)), 1) if len(part) else 1
                divisors[0] += math.log2(divisor) * len(part)
                divisors[2] += math.log2(10) * len(part) * next((p for p in range(18, 0, -1) if divisor % 10**p == 0), 0)
                for column in range(4):
                    few = file.numbers[column][block]
                    few = few[~file.strays[column][block]]
                    spread = int(np.gcd.reduce(few - few[0])) if len(few) else 1
                    divisors[1] += math.log2(max(spread // whole, 1)) * len(few) / 4
        row(name, f"{(h == l).mean():.1%}", f"{(o[1:] == c[:-1]).mean():.1%}", f"{same:.2%}", f"{(v[1:] == v[:-1]).mean():.2%}",
            f"{near.mean():.2%}", (apart - both) / 8, *[found / file.rows for found in divisors])


def entropy(counts):
    """Bits a symbol, by counts; with the first correction for few of them."""
    share = counts / counts.sum()
    return float(-(share * np.log2(share)).sum()) + (len(counts) - 1) / (2 * math.log(2) * counts.sum())


def digits(files):
    heading("Volume: how even its last digits and bits are (of volumes with more digits than that above them)", "file",
            "last digit of 3.322", "last two of 6.644", "last three of 9.966", "last 8 bits", "end in a zero",
            "last digit given that before it")
    for name, file in files:
        v = np.abs(file.volume[~file.strays[4]])
        long = [v[v >= 10 ** (count + 1)] for count in (1, 2, 3)]
        cells = [entropy(np.unique(part % 10**count, return_counts=True)[1]) if len(part) > 50 * 10**count else "–"
                 for count, part in zip((1, 2, 3), long)]
        wide = v[v >= 4096]
        bits = entropy(np.unique(wide & 255, return_counts=True)[1]) if len(wide) > 12_000 else "–"
        pair = "–"
        if not isinstance(cells[1], str):
            tens = long[1] // 10 % 10
            pair = entropy(np.unique(long[1] % 100, return_counts=True)[1]) - entropy(np.unique(tens, return_counts=True)[1])
        row(name, *cells, bits, f"{(v[v > 0] % 10 == 0).mean():.1%}", pair)


def lots(files):
    heading("Volume as a sum of few lots: shares of volumes that are sums of one to three of the 32 most frequent", "file",
            "equal to one of the 32", "a sum of two or three", "the same, digits shifted (chance)", "most it could save, B")
    for name, file in files:
        v = np.abs(file.volume[~file.strays[4]])
        v = v[v > 0]
        kinds, counts = np.unique(v, return_counts=True)
        few = kinds[np.argsort(-counts, kind="stable")[:32]]
        two = np.unique(few[:, None] + few[None, :])
        sums = np.setdiff1d(np.unique(np.concatenate([two, (two[:, None] + few[None, :]).ravel()])), few)
        one = np.isin(v, few)
        hit = np.isin(v, sums) & ~one
        # As long as the volume, with as many zeros at the end, of other digits: what chance alone would hit.
        zeros, _ = split(v, True)
        unit = POWERS[np.minimum(zeros, 18)]
        step = np.random.default_rng(1).integers(-30, 31, len(v))
        step[step % 10 == 0] += 1
        other = np.where(v // unit > 60, v + step * unit, v)
        chance = np.isin(other, sums) & ~np.isin(other, few) & (other != v) | hit & (other == v)
        saved = np.maximum(lengths(v // unit) + 2 - math.log2(len(sums)), 0)[hit].sum()
        saved -= len(v) * entropy(np.array([hit.sum() + 1, len(v) - hit.sum() + 1]))
        row(name, f"{one.mean():.2%}", f"{hit.mean():.2%}", f"{chance.mean():.2%}", max(saved, 0) / 8 / len(v))


# Ticks.

def ticks(data, results, wanted):
    heading("Trades and quotes: bytes a row by column", "file", "column", "values learned", "given the value before",
            "given also the row's other columns", "dense now", "cold now")
    totals = []
    for name in filter(wanted, TICKS):
        found = columns(table(gzip.decompress((data / f"trades/{name}.csv.gz").read_bytes())))
        rows, sums, entry = len(next(iter(found.values()))), [0.0, 0.0, 0.0], results[name]
        sizes = {tier: tapestore(entry, tier) for tier in ("dense", "cold")}
        alternate = "quote" in name
        earlier = None
        for column, values in found.items():
            numbers = values.astype(np.int64)
            back = 2 if alternate and column != "ts_ms_utc" else 1
            last = before(numbers, back, first=numbers[0])
            moved = numbers - last
            kinds = len(np.unique(numbers))
            plain = min(best(numbers), best(moved))
            context = last if kinds <= 10_000 and "price" not in column else before(moved, 1)
            context = np.clip(context, -1000, 1000) if column == "ts_ms_utc" else context
            first = min(plain, best(moved, context), best(numbers, last) if kinds <= 10_000 else math.inf)
            given = first
            if earlier is not None:
                # Whether the columns before stayed as they were, and whether this one did, in the row before.
                stayed = joined(earlier, before((moved == 0).astype(np.int64)))
                given = min(first, best(moved, stayed), best(moved, joined(stayed, np.clip(context, -50, 50))))
                if kinds <= 10_000:
                    given = min(given, best(numbers, joined(stayed, last)))
            earlier = joined(earlier if earlier is not None else np.zeros(rows, dtype=np.int64), moved == 0)
            label = {"ts_ms_utc": "time"}.get(column, column.removesuffix("_e4"))
            now = [sizes[tier][1].get(label, 0) / rows for tier in ("dense", "cold")]
            row(name, label, plain / 8 / rows, first / 8 / rows, given / 8 / rows, *now)
            for place, bits in enumerate((plain, first, given)):
                sums[place] += bits / 8 / rows
        parquet = smallest_parquet(entry) / rows
        totals.append((name, parquet, sizes["dense"][0] / rows, sizes["cold"][0] / rows, 0.7 * parquet, *sums))
    heading("Trades and quotes: the aim beside that", "file", "smallest Parquet", "dense", "cold", "0.70 of it",
            "values learned", "given the value before", "given also the row's other columns")
    for total in totals:
        row(*total)


if __name__ == "__main__":
    main()
