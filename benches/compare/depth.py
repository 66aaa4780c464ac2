#!/usr/bin/env python3
"""Updates of books: as the store has them, as Parquet, and what differences between levels would be worth.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy pyarrow
    cargo build --release -p tape
    /tmp/peers/bin/python depth.py [--data DIR] [--tape PROGRAM] [--write DIR]

Two captures of Binance's depth of a day (`book/hftbacktest_*`), each message's bids and asks as rows of the kind *book*
(engine/query/src/book.rs): time of receipt in nanoseconds, action, side, price, quantity, number of the update; no orders.
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
import pyarrow.parquet as pq

from entropy import DATA, before, best, joined, row, heading

CAPTURES = ["hftbacktest_spot_btcusdt_20240808", "hftbacktest_usdm_btcusdt_20240808"]
COLUMNS = ["time", "action", "side", "price", "quantity", "update"]


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
                for name, value in zip(out, (int(at), 1, side, float(price), float(quantity), data["u"], message)):
                    out[name].append(value)
        message += 1
    types = {"price": np.float64, "quantity": np.float64, "action": np.uint8, "side": np.uint8}
    return {name: np.array(values, dtype=types.get(name, np.int64)) for name, values in out.items()}


def places(values):
    return next(p for p in range(12) if np.all(np.rint(values * 10.0**p) / 10.0**p == values))


def parquet(rows, directory):
    """Bytes by setting; whole files."""
    plain = pa.table({name: rows[name] for name in COLUMNS})
    scaled = {name: rows[name] for name in COLUMNS}
    for name in ("price", "quantity"):
        scaled[name] = np.rint(rows[name] * 10.0 ** places(rows[name])).astype(np.int64)
    scaled["action"], scaled["side"] = rows["action"].astype(np.int32), rows["side"].astype(np.int32)
    scaled = pa.table(scaled)
    delta = {name: "DELTA_BINARY_PACKED" for name in COLUMNS}
    settings = {
        "f64 zstd 3": (plain, {"compression": "zstd", "compression_level": 3}),
        "f64 no dict zstd 3": (plain, {"compression": "zstd", "compression_level": 3, "use_dictionary": False}),
        "f64 zstd 19": (plain, {"compression": "zstd", "compression_level": 19}),
        "f64 no dict zstd 19": (plain, {"compression": "zstd", "compression_level": 19, "use_dictionary": False}),
        "i64 zstd 19": (scaled, {"compression": "zstd", "compression_level": 19}),
        "i64 no dict zstd 19": (scaled, {"compression": "zstd", "compression_level": 19, "use_dictionary": False}),
        "i64 DELTA": (scaled, {"compression": "none", "use_dictionary": False, "column_encoding": delta}),
        "i64 DELTA zstd 19": (scaled, {"compression": "zstd", "compression_level": 19, "use_dictionary": False, "column_encoding": delta}),
    }
    out = {}
    for name, (tab, options) in settings.items():
        path = pathlib.Path(directory, "rows.parquet")
        pq.write_table(tab, path, row_group_size=len(tab), **options)
        meta = pq.read_metadata(path)
        parts = {column: sum(meta.row_group(g).column(i).total_compressed_size for g in range(meta.num_row_groups))
                 for i, column in enumerate(COLUMNS)}
        out[name] = path.stat().st_size, parts
    return out


def stored(tape, rows, directory):
    """Bytes of the segment and of its columns, by tier; nothing without the program."""
    if tape is None:
        return {}
    path, store = pathlib.Path(directory, "rows.csv"), pathlib.Path(directory, "store")
    pa.csv.write_csv(pa.table({name: rows[name] for name in COLUMNS}), path)
    run = lambda *command: subprocess.run([tape, *command, "--store", store], check=True, capture_output=True, text=True).stdout
    run("import", path, "--kind", "book", "--instrument", "BTCUSDT.BINANCE", "--time-unit", "ns", "-q")
    out = {}
    for tier in ("dense", "cold"):
        run("compact", "--tier", tier, "-q")
        segment = max(store.glob("segment-*"), key=lambda file: file.stat().st_size)
        parts = [json.loads(line) for line in run("inspect", segment.name, "--json").splitlines()]
        part = max((part for part in parts if "rows" in part), key=lambda part: part["rows"])
        sizes = dict.fromkeys(COLUMNS, 0)
        for column in part["columns"]:
            sizes[column["column"]] = sizes.get(column["column"], 0) + column["payload_bytes"] + column["metadata_bytes"]
        out[tier] = segment.stat().st_size, sizes
    return out


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
    for name in CAPTURES:
        rows = read(asked.data / f"book/{name}.gz")
        count = len(rows["time"])
        with tempfile.TemporaryDirectory() as directory:
            heading(f"{name}: {count} levels of {rows['message'][-1] + 1} messages, bytes a row", "", "all", *COLUMNS)
            for setting, (size, parts) in parquet(rows, directory).items():
                row(f"Parquet {setting}", size / count, *[parts[column] / count for column in COLUMNS])
            for tier, told in stored(asked.tape, rows, directory).items():
                size, parts = told
                row(f"Tapestore {tier}", size / count, *[parts[column] / count for column in COLUMNS])
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
