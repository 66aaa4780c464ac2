#!/usr/bin/env python3
"""Updates of books: what they take in `results.json`, and what differences between levels would be worth.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy pyarrow
    cargo build --release -p tape
    /tmp/peers/bin/python depth.py [--data DIR] [--tape PROGRAM] [--write DIR]

Two captures of Binance's depth of a day (`book/hftbacktest_*`), each message's bids and asks as rows: time of receipt in
nanoseconds, side, price, quantity, number of the update. Prices in several accounts are told twice: as the program writes
them today, each as a column of integers of a table, coders and all; and as the coders of entropy.py would.
`format-spec/decisions/0022-*.md` says what follows.
"""

import argparse
import gzip
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.csv

from entropy import DATA, HERE, before, best, heading, row, smallest_parquet, tapestore

CAPTURES = ["hftbacktest_spot_btcusdt_20240808", "hftbacktest_usdm_btcusdt_20240808"]
COLUMNS = ["time", "side", "price", "quantity", "update"]


def read(path):
    """Levels of all messages, and which message each came with; prices and quantities as doubles."""
    out = {name: [] for name in [*COLUMNS, "message"]}
    message = 0
    for line in gzip.open(path, "rt"):
        at, text = line.split(" ", 1)
        data = json.loads(text)
        data = data.get("data", data)
        if data.get("e") != "depthUpdate":
            continue
        for side, levels in enumerate((data["b"], data["a"])):
            for price, quantity in levels:
                for name, value in zip(out, (int(at), side, float(price), float(quantity), data["u"], message)):
                    out[name].append(value)
        message += 1
    types = {"price": np.float64, "quantity": np.float64, "side": np.uint8}
    return {name: np.array(values, dtype=types.get(name, np.int64)) for name, values in out.items()}


def places(values):
    return next(p for p in range(12) if np.all(np.rint(values * 10.0**p) / 10.0**p == values))


def accounts(rows):
    """Prices in ticks, in several accounts; and which rows begin a side of a message."""
    ticks = np.rint(rows["price"] * 10.0 ** places(rows["price"])).astype(np.int64)
    group = rows["message"] * 2 + rows["side"]
    starts = np.concatenate([[True], group[1:] != group[:-1]])
    level = ticks - before(ticks, first=ticks[0])
    # The first level of a side follows the first of the message before.
    for side in (0, 1):
        first = np.flatnonzero(starts & (rows["side"] == side))
        level[first] = ticks[first] - before(ticks[first], first=ticks[first[0]])
    # Levels stand in the order of prices: this way up on either side.
    for side in (0, 1):
        inner = ~starts & (rows["side"] == side)
        level[inner] *= 1 if (level[inner] > 0).mean() > 0.5 else -1
    return {"price": ticks, "level": level}, starts


def stored(tape, times, values, directory, name):
    """Bytes of a column of integers, dense and cold, as the program writes it."""
    path, store = pathlib.Path(directory, f"{name}.csv"), pathlib.Path(directory, name)
    pa.csv.write_csv(pa.table({"time": times, "value": values}), path)
    run = lambda *command: subprocess.run([tape, *command, "--store", store], check=True, capture_output=True, text=True).stdout
    run("import", path, "--frame", name, "--type", "value=i64", "--instrument", "BTCUSDT.BINANCE", "--time-unit", "ns", "-q")
    out = []
    for tier in ("dense", "cold"):
        run("compact", "--tier", tier, "-q")
        segment = max(store.glob("segment-*"), key=lambda file: file.stat().st_size)
        parts = [json.loads(line) for line in run("inspect", segment.name, "--json").splitlines()]
        columns = max((part for part in parts if "rows" in part), key=lambda part: part["rows"])["columns"]
        out.append(sum(part["payload_bytes"] + part["metadata_bytes"] for part in columns if part["column"] == "value"))
    return np.array(out)


def written(tape, rows, directory):
    """Bytes of the price in several accounts, dense and cold."""
    told, starts = accounts(rows)
    column = lambda name, values, chosen=slice(None): stored(tape, rows["time"][chosen], values[chosen], directory, name)
    return {
        "price as it is": column("price", told["price"]),
        "difference from the level before, first ones from the message before": column("level", told["level"]),
        "the same, first ones in a column of their own": column("first", told["level"], starts) + column("inner", told["level"], ~starts),
    }


def levels(rows):
    """Bits a row of the price in several accounts, and the share of levels in the order of prices."""
    told, starts = accounts(rows)
    ticks, level = told["price"], told["level"]
    difference = ticks - before(ticks, first=ticks[0])
    return (level[~starts] > 0).mean(), {
        "price as it is": best(ticks),
        "difference from the row before": best(difference),
        "difference from the level before, first ones from the message before": best(level),
        "the same, given which are first, and the side": best(level, starts * 2 + rows["side"]),
    }


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--data", type=pathlib.Path, default=DATA)
    asked.add_argument("--tape", type=pathlib.Path)
    asked.add_argument("--write", help="directory for the accounts as CSV, to be read by the example forms of engine/format")
    asked = asked.parse_args()
    results = {entry["file"]: entry for entry in json.loads((HERE / "results.json").read_text())["sizes"]}
    for name in CAPTURES:
        rows = read(asked.data / f"book/{name}.gz")
        count = len(rows["time"])
        entry = results[name]
        smallest = next(size for size in entry["contenders"].values() if size["bytes"] == smallest_parquet(entry))
        heading(f"{name}: {count} levels of {rows['message'][-1] + 1} messages, bytes a row", "", "all", *COLUMNS)
        for label, (size, parts) in {
            "smallest Parquet": (smallest["bytes"], smallest["columns"]),
            "dense": tapestore(entry, "dense"),
            "cold": tapestore(entry, "cold"),
        }.items():
            row(label, size / count, *[parts[column] / count for column in COLUMNS])
        if asked.tape:
            heading("the price, as the program writes it", "account", "dense", "cold")
            with tempfile.TemporaryDirectory() as directory:
                for label, sizes in written(asked.tape, rows, directory).items():
                    row(label, *map(float, sizes / count))
        quantity = np.rint(rows["quantity"] * 10.0 ** places(rows["quantity"])).astype(np.int64)
        ordered, prices = levels(rows)
        print(f"\n{ordered:.1%} of levels follow the price before; {(quantity == 0).mean():.1%} have no quantity.\n")
        heading("the same, coders of entropy.py", "account", "bytes a row")
        for label, bits in prices.items():
            row(label, bits / 8 / count)
        row("quantity", best(quantity) / 8 / count)
        row("time", best(np.diff(rows["time"])) / 8 / count)
        if asked.write:
            path = pathlib.Path(asked.write, f"{name}.csv")
            pa.csv.write_csv(pa.table({**accounts(rows)[0], "quantity": quantity}), path)


if __name__ == "__main__":
    main()
