#!/usr/bin/env python3
"""As-of join and resampling beside polars: the same data, asked in turn, in one run.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -r requirements.txt
    cargo build --release -p tape-benches --example answers
    /tmp/peers/bin/python answers.py [--rounds N]

A million trades are joined with a million quotes, and the minutes of the longest file resampled to hours: out of columns
in memory, and out of a store beside Parquet files. All have one thread. Tapestore joins columns in memory into buffers of
the caller, which are used again; polars has an allocator that keeps its memory.
The last row of one of 10,000 series is asked for beside a hash map of the same rows, in one process.
Each answer's count and sum are compared. Results go to `answers.json`, which `cargo run --release -- report` puts into
`benches/RESULTS.md`.
"""

import os

os.environ.update(POLARS_MAX_THREADS="1")

import argparse
import datetime
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import polars as pl

HERE = pathlib.Path(__file__).resolve().parent
DATA = pathlib.Path(os.environ.get("TAPE_DATA", HERE / "../../../shared/data"))
LONGEST = "klines/BTCUSD.BITFINEX-1m.csv.gz"
MILLION = 1_000_000
START = 1_700_000_000_000_000_000
BARS = ["open", "high", "low", "close", "volume"]


def times(seed):
    """Ascending times, a millisecond apart in the mean."""
    return START + np.cumsum(np.random.default_rng(seed).integers(0, 2_000_000, MILLION))


def frames():
    """The tables, by name; times in nanoseconds."""
    numbers = np.arange(MILLION, dtype=np.float64)
    trades = pl.DataFrame({"time": times(1), "price": 100 + numbers % 977 / 100, "quantity": 1 + numbers % 31})
    quotes = pl.DataFrame({"time": times(2), "bid": 100 + numbers % 977 / 100, "ask": 101 + numbers % 977 / 100})
    bars = pl.read_csv(DATA / LONGEST)
    bars = bars.select(pl.col(bars.columns[0]).cast(pl.Int64), *[pl.col(name).cast(pl.Float64) for name in bars.columns[1:6]])
    bars.columns = ["time", *BARS]
    bars = bars.with_columns(pl.col("time") * 1_000_000)
    return {"trades": trades, "quotes": quotes, "bars": bars}


class Polars:
    """Eager on frames in memory; lazy on Parquet files."""

    name = "polars"

    def __init__(self, tables, root):
        clock = pl.col("time").cast(pl.Datetime("ns"))
        self.tables = {name: table.with_columns(clock).set_sorted("time") for name, table in tables.items()}
        self.files = {name: root / f"{name}.parquet" for name in tables}
        for name, table in self.tables.items():
            table.write_parquet(self.files[name])

    def hours(self, minutes):
        grouped = minutes.group_by_dynamic("time", every="1h")
        return grouped.agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )

    def ask(self, question):
        scan = lambda name: pl.scan_parquet(self.files[name]).set_sorted("time")
        if question == "join memory":
            return self.tables["trades"].join_asof(self.tables["quotes"], on="time", strategy="backward")
        if question == "join store":
            return scan("trades").join_asof(scan("quotes"), on="time", strategy="backward").collect()
        if question == "resample memory":
            return self.hours(self.tables["bars"])
        return self.hours(scan("bars")).collect()

    def timed(self, question):
        wall, cpu = time.perf_counter(), time.process_time()
        found = self.ask(question)
        sample = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        column = found["bid" if question.startswith("join") else "close"].drop_nulls()
        return sample | {"count": len(column), "sum": column.sum()}


class Map:
    """A hash map of last rows, in the process of Tapestore."""

    name = "map"

    def __init__(self, tapestore):
        self.tapestore = tapestore

    def timed(self, question):
        return self.tapestore.answer("latest map")


class Tapestore:
    """Measures itself in a process beside, asked over a pipe."""

    name = "tapestore"

    def __init__(self, tables, root):
        for name, table in tables.items():
            for column in table.columns:
                table[column].to_numpy().tofile(root / f"{name}.{column}")
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "../../target"))
        program = [target / "release/examples/answers", root]
        self.service = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.service.stdout.readline().strip() != "ready":
            raise SystemExit("Tapestore did not begin")

    def timed(self, question):
        return self.answer(question if question != "latest" else "latest tapestore")

    def answer(self, question):
        self.service.stdin.write(question + "\n")
        self.service.stdin.flush()
        return json.loads(self.service.stdout.readline())

    def close(self):
        self.service.stdin.close()
        self.service.wait()


QUESTIONS = ["join memory", "join store", "resample memory", "resample store", "latest"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", help="ask the questions whose name has this in it")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "answers.json")
    arguments = parser.parse_args()
    tables = frames()
    with tempfile.TemporaryDirectory() as root:
        root = pathlib.Path(root)
        ours, peer = Tapestore(tables, root), Polars(tables, root)
        answers = {}
        for question in (name for name in QUESTIONS if (arguments.only or "") in name):
            print(question, file=sys.stderr)
            pair = (ours, Map(ours) if question == "latest" else peer)
            samples = {each.name: [] for each in pair}
            for number in range(arguments.rounds + 1):
                found = [(each.name, each.timed(question)) for each in pair]
                (_, mine), (_, theirs) = found
                if mine["count"] != theirs["count"] or not math.isclose(mine["sum"], theirs["sum"], rel_tol=1e-9):
                    raise SystemExit(f"{question}: {mine} and {theirs}")
                if number > 0:  # the first warms up
                    for name, sample in found:
                        samples[name].append({clock: sample[clock] for clock in ("cpu", "wall")})
            answers[question] = samples
        ours.close()
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    rows = {"join": [MILLION, MILLION], "resample": [len(tables["bars"])]}
    found = {"date": date, "polars": pl.__version__, "rows": rows, "bars": LONGEST, "answers": answers}
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    for question, samples in answers.items():
        medians = {name: sorted(s["cpu"] for s in runs)[len(runs) // 2] for name, runs in samples.items()}
        ours, (peer, other) = medians.pop("tapestore"), *medians.items()
        print(f"{question}: {ours:.3g} s, {other / ours:.2f} times as fast as {peer}")


if __name__ == "__main__":
    main()
