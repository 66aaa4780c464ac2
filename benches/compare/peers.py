#!/usr/bin/env python3
"""The comparison with stores that one uses from Python: DuckDB, polars, ArcticDB, Vortex.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -r requirements.txt
    /tmp/peers/bin/python peers.py [--rounds N] [--file CSV]...

Each peer keeps one file of bars in its own form and answers the same questions, then bars of 30 instruments in six timeframes;
Tapestore runs beside in a process of its own (`tape-compare serve`, `serve-many`) and is asked in the same rounds. All have one
thread; Tapestore reads many series in as many as there are cores, and the time of all counts. Results go to `peers.json`, which
`cargo run --release -- report` puts into `benches/RESULTS.md`.

A new workload is a method of the contenders and its name in `WORKLOADS`; a contender that lacks the method, or raises
`NotImplementedError`, gets a dash.
"""

import os

THREADS = "1"
os.environ.update(POLARS_MAX_THREADS=THREADS, OMP_NUM_THREADS=THREADS, ARROW_NUM_THREADS=THREADS)
os.environ.setdefault("TZ", "UTC")

import argparse
import datetime
import gzip
import importlib.metadata
import json
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import pyarrow as pa
import pyarrow.csv

HERE = pathlib.Path(__file__).resolve().parent
DATA = pathlib.Path(os.environ.get("TAPE_DATA", HERE / "../../../shared/data"))
DAY = 86_400_000  # milliseconds
COLUMNS = ["open", "high", "low", "close", "volume"]
FILES = ["EOSUSD.BITFINEX-1m.csv.gz", "binance_spot_BTCUSDT-1m-2025-06.csv"]
WORKLOADS = ["write", "open", "rows", "close", "day", "gaps", "year"]


def bytes_of(path):
    path = pathlib.Path(path)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    # ArcticDB's map is a sparse file: what counts is what it takes on the device.
    return sum(min(file.stat().st_size, file.stat().st_blocks * 512) for file in files)


class Bars:
    """The rows of a file, times in milliseconds; and the ranges that are asked for."""

    def __init__(self, path):
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            table = pyarrow.csv.read_csv(file)
        # By their names, in whatever order; the time is the first of the others.
        names = [name.strip().lower() for name in table.column_names]
        if all(name in names for name in COLUMNS):
            places = [next(at for at, name in enumerate(names) if name not in COLUMNS), *map(names.index, COLUMNS)]
        else:
            places = range(6)
        table = table.select(places).rename_columns(["time", *COLUMNS])
        times = table["time"].cast(pa.timestamp("ms")) if table["time"].type == pa.int64() else table["time"]
        table = table.set_column(0, "time", times.cast(pa.timestamp("ms")))
        for number, name in enumerate(COLUMNS, 1):
            table = table.set_column(number, name, table[name].cast(pa.float64()))
        self.path, self.name, self.table = path, path.name.split(".")[0], table.combine_chunks()
        self.millis = self.table["time"].cast(pa.int64()).to_numpy()
        first, last = int(self.millis[0]), int(self.millis[-1])
        days = (last - first) // DAY
        starts = [first + number * 37 % 64 * days // 64 * DAY for number in range(64)]
        self.days = [(start, start + DAY) for start in starts]
        middle = int(self.millis[len(self.millis) // 2])
        self.year = (middle, middle + 365 * DAY)
        steps = self.millis[1:] - self.millis[:-1]
        self.step = int(steps.min())
        # Bars of no fixed step, as of months, have no gaps that all would count alike.
        self.workloads = [name for name in WORKLOADS if name != "gaps" or not (steps % self.step).any()]
        self.missing = (last - first) // self.step + 1 - len(self.millis)


def moment(millis):
    return datetime.datetime.fromtimestamp(millis / 1000, datetime.timezone.utc).replace(tzinfo=None)


def indexed(table):
    """A frame of pandas with the times as its index."""
    import pandas

    frame = table.to_pandas().set_index("time")
    frame.index = pandas.DatetimeIndex(frame.index.astype("datetime64[ns]"))
    return frame


def with_millis(table):
    """Times as integers: filters of Vortex compare with a literal of the column's own type, which integers have most simply."""
    return table.set_column(0, "time", table["time"].cast(pa.int64()))


def keep(results, workload, sample):
    """Adds what a run took to what those before took."""
    for clock in ("cpu", "wall"):
        results[clock].setdefault(workload, []).append(sample[clock])


class DuckDb:
    """A table in a database file; answers as Arrow tables."""

    name, package = "duckdb", "duckdb"

    def __init__(self, bars, root):
        self.bars, self.path = bars, root / "duckdb"
        self.path.mkdir()
        self.file = str(self.path / "bars.duckdb")

    def write(self):
        import duckdb

        self.close_files()
        for file in self.path.iterdir():
            file.unlink()
        with duckdb.connect(self.file) as connection:
            bars = self.bars.table
            connection.register("source", bars)
            connection.execute("create table bars as select * from source")
            connection.execute("checkpoint")

    def open(self):
        import duckdb

        self.close_files()
        self.connection = duckdb.connect(self.file, read_only=True, config={"threads": THREADS})
        self.connection.execute("select close from bars limit 1").fetchall()

    def close_files(self):
        if getattr(self, "connection", None):
            self.connection.close()
            self.connection = None

    def arrow(self, query, arguments=()):
        result = self.connection.sql(query, params=list(arguments)).to_arrow_table()
        return result.num_rows

    def rows(self):
        return self.arrow("select * from bars")

    def close(self):
        return self.arrow("select close from bars")

    def day(self, start, end):
        moments = [moment(start), moment(end)]
        return self.arrow("select * from bars where time >= ? and time < ?", moments)

    def gaps(self):
        query = (
            "select sum(step / ? - 1) from (select epoch_ms(time) - lag(epoch_ms(time)) over (order by time) as step"
            " from bars) where step > ?"
        )
        return int(self.connection.execute(query, [self.bars.step, self.bars.step]).fetchone()[0] or 0)

    def year(self, start, end):
        moments = [moment(start), moment(end)]
        query = "select min(volume), max(volume), sum(volume), count(*) from bars where time >= ? and time < ?"
        return self.connection.execute(query, moments).fetchone()


class Polars:
    """A Parquet file as polars writes it by default (zstd 3), read lazily; answers as data frames."""

    name, package = "polars (parquet zstd)", "polars"

    def __init__(self, bars, root):
        self.bars, self.path = bars, root / "polars.parquet"

    def write(self):
        import polars

        polars.from_arrow(self.bars.table).write_parquet(self.path)
        with open(self.path, "rb") as file:
            os.fsync(file.fileno())

    def open(self):
        import polars

        self.frame = polars.scan_parquet(self.path)
        self.frame.collect_schema()

    def rows(self):
        return self.frame.collect().height

    def close(self):
        return self.frame.select("close").collect().height

    def between(self, start, end):
        import polars

        time = polars.col("time")
        return self.frame.filter((time >= moment(start)) & (time < moment(end)))

    def day(self, start, end):
        return self.between(start, end).collect().height

    def gaps(self):
        import polars

        step = self.frame.select(polars.col("time").diff().dt.total_milliseconds().alias("step"))
        return int(step.filter(polars.col("step") > self.bars.step).select(
            (polars.col("step") // self.bars.step - 1).sum()).collect().item())

    def year(self, start, end):
        import polars

        volume = polars.col("volume")
        wanted = [volume.min().alias("min"), volume.max().alias("max"), volume.sum().alias("sum"), volume.len().alias("n")]
        return self.between(start, end).select(wanted).collect().row(0)


class ArcticDb:
    """A symbol in a library on LMDB; answers as pandas frames."""

    name, package = "arcticdb (lmdb)", "arcticdb"

    def __init__(self, bars, root):
        import arcticdb

        self.bars, self.path = bars, root / "arcticdb"
        self.store = arcticdb.Arctic(f"lmdb://{self.path}")
        self.library = self.store.get_library("bars", create_if_missing=True)
        self.frame = indexed(bars.table)

    def write(self):
        self.library.write("bars", self.frame, prune_previous_versions=True)

    def open(self):
        self.library = self.store.get_library("bars")
        self.library.head("bars", 1)

    def moments(self, start, end):
        # The range is inclusive on both sides.
        return (moment(start), moment(end - 1))

    def rows(self):
        return len(self.library.read("bars").data)

    def close(self):
        return len(self.library.read("bars", columns=["close"]).data)

    def day(self, start, end):
        return len(self.library.read("bars", date_range=self.moments(start, end)).data)

    def gaps(self):
        import numpy

        times = self.library.read("bars", columns=[]).data.index.values.astype("int64") // 1_000_000
        steps = numpy.diff(times)
        return int((steps[steps != self.bars.step] // self.bars.step - 1).sum())

    def year(self, start, end):
        volume = self.library.read("bars", columns=["volume"], date_range=self.moments(start, end)).data["volume"]
        return volume.min(), volume.max(), volume.sum(), len(volume)


class Vortex:
    """A Vortex file with its default compression; answers as Arrow."""

    name, package = "vortex", "vortex-data"

    def __init__(self, bars, root):
        self.bars, self.path = bars, root / "bars.vortex"
        self.table = with_millis(bars.table)

    def write(self):
        import vortex

        vortex.io.write(vortex.array(self.table), str(self.path))
        with open(self.path, "rb") as file:
            os.fsync(file.fileno())

    def open(self):
        import vortex

        self.file = vortex.open(str(self.path))

    def scan(self, columns=None, bounds=None):
        import vortex.expr

        where = None
        if bounds:
            time = vortex.expr.column("time")
            where = (time >= bounds[0]) & (time < bounds[1])
        batches = list(self.file.to_arrow(columns, expr=where) if where is not None else self.file.to_arrow(columns))
        return batches

    def rows(self):
        return sum(len(batch) for batch in self.scan())

    def close(self):
        return sum(len(batch) for batch in self.scan(["close"]))

    def day(self, start, end):
        return sum(len(batch) for batch in self.scan(None, (start, end)))

    def gaps(self):
        import numpy

        times = numpy.concatenate([batch.column(0).to_numpy() for batch in self.scan(["time"])])
        steps = numpy.diff(times)
        return int((steps[steps != self.bars.step] // self.bars.step - 1).sum())

    def year(self, start, end):
        import pyarrow.compute as compute

        volume = pa.chunked_array([batch.column("volume") for batch in self.scan(["volume"], (start, end))])
        bounds = compute.min_max(volume)
        return bounds["min"].as_py(), bounds["max"].as_py(), compute.sum(volume).as_py(), len(volume)


class Many:
    """Months of 30 instruments in six timeframes, each a table; a week of them."""

    def __init__(self, directory):
        places = sorted(directory.iterdir(), key=lambda place: int(place.name))
        self.tables = []
        for place in places:
            with pa.memory_map(str(place / "table.arrow")) as file:
                table = pa.ipc.open_file(file).read_all()
            # Times since the epoch, as the others have them.
            times = table["time"].cast(pa.int64()).cast(pa.timestamp("ms"))
            self.tables.append(table.set_column(0, "time", times).combine_chunks())
        self.rows = sum(map(len, self.tables))
        self.week = (20 * DAY, 27 * DAY)
        millis = [table["time"].cast(pa.int64()).to_numpy() for table in self.tables]
        self.week_rows = sum(int(((each >= self.week[0]) & (each < self.week[1])).sum()) for each in millis)

    def moments(self):
        return [moment(millis) for millis in self.week]


class DuckDbMany:
    """A table for each series in one database file."""

    name = DuckDb.name

    def __init__(self, many, root):
        import duckdb

        self.many, self.path = many, root / "duckdb"
        self.path.mkdir()
        with duckdb.connect(str(self.path / "bars.duckdb")) as connection:
            for number, table in enumerate(many.tables):
                connection.register("source", table)
                connection.execute(f"create table bars{number} as select * from source")
            connection.execute("checkpoint")
        self.connection = duckdb.connect(str(self.path / "bars.duckdb"), read_only=True, config={"threads": THREADS})

    def read(self, where="", arguments=()):
        queries = (f"select * from bars{number} {where}" for number in range(len(self.many.tables)))
        return sum(self.connection.sql(query, params=list(arguments)).to_arrow_table().num_rows for query in queries)

    def batch(self):
        return self.read()

    def week(self):
        return self.read("where time >= ? and time < ?", self.many.moments())

    def close_files(self):
        self.connection.close()


class PolarsMany:
    """A Parquet file for each series, all asked for at once."""

    name = Polars.name

    def __init__(self, many, root):
        import polars

        self.many, self.path, self.frames = many, root / "polars", []
        self.path.mkdir()
        for number, table in enumerate(many.tables):
            polars.from_arrow(table).write_parquet(self.path / f"{number}.parquet")
            self.frames.append(polars.scan_parquet(self.path / f"{number}.parquet"))

    def batch(self):
        import polars

        return sum(frame.height for frame in polars.collect_all(self.frames))

    def week(self):
        import polars

        time, (start, end) = polars.col("time"), self.many.moments()
        frames = [frame.filter((time >= start) & (time < end)) for frame in self.frames]
        return sum(frame.height for frame in polars.collect_all(frames))


class ArcticDbMany:
    """A symbol for each series in one library, all asked for at once."""

    name = ArcticDb.name

    def __init__(self, many, root):
        import arcticdb

        self.many, self.path = many, root / "arcticdb"
        self.library = arcticdb.Arctic(f"lmdb://{self.path}").get_library("bars", create_if_missing=True)
        for number, table in enumerate(many.tables):
            self.library.write(str(number), indexed(table))

    def read(self, **bounds):
        import arcticdb

        wanted = [arcticdb.ReadRequest(str(number), **bounds) for number in range(len(self.many.tables))]
        return sum(len(found.data) for found in self.library.read_batch(wanted))

    def batch(self):
        return self.read()

    def week(self):
        start, end = self.many.moments()
        # The range is inclusive on both sides.
        return self.read(date_range=(start, end - datetime.timedelta(milliseconds=1)))


class VortexMany:
    """A file for each series."""

    name = Vortex.name

    def __init__(self, many, root):
        import vortex

        self.many, self.path, self.files = many, root / "vortex", []
        self.path.mkdir()
        for number, table in enumerate(many.tables):
            vortex.io.write(vortex.array(with_millis(table)), str(self.path / f"{number}.vortex"))
            self.files.append(vortex.open(str(self.path / f"{number}.vortex")))

    def batch(self):
        return sum(len(batch) for file in self.files for batch in file.to_arrow())

    def week(self):
        import vortex.expr

        time = vortex.expr.column("time")
        where = (time >= self.many.week[0]) & (time < self.many.week[1])
        return sum(len(batch) for file in self.files for batch in file.to_arrow(expr=where))


class Tapestore:
    """A tier of Tapestore, asked over a pipe; it measures itself."""

    def __init__(self, service, tier):
        self.service, self.tier, self.name = service, tier, f"tapestore {tier}"

    def ask(self, *words):
        self.service.stdin.write(" ".join(map(str, (self.tier, *words))) + "\n")
        self.service.stdin.flush()
        answer = json.loads(self.service.stdout.readline())
        if "error" in answer:
            raise NotImplementedError(answer["error"])
        return answer

    def commit(self):
        return self.ask("commit")["commit"]

    def bytes(self):
        return self.ask("bytes")["bytes"]

    def timed(self, workload, bars, number):
        if workload in ("day", "year"):
            start, end = bars.days[number % 64] if workload == "day" else bars.year
            return self.ask("range" if workload == "day" else workload, start * 1_000_000, end * 1_000_000)
        return self.ask(workload)


def timed(peer, workload, bars, number):
    """Seconds of one run, by the wall and of this process, and what it answered."""
    method = getattr(peer, workload, None)
    if method is None:
        raise NotImplementedError(workload)
    arguments = {"day": lambda: bars.days[number % 64], "year": lambda: bars.year}.get(workload, tuple)()
    wall, cpu = time.perf_counter(), time.process_time()
    answer = method(*arguments)
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}, answer


def check(peer, workload, bars, number, answer):
    """A wrong answer is no answer: everything that can be counted is compared."""
    rows = len(bars.millis)
    inside = lambda bounds: int(((bars.millis >= bounds[0]) & (bars.millis < bounds[1])).sum())
    expected = {"rows": rows, "close": rows, "gaps": bars.missing, "day": inside(bars.days[number % 64])}
    found = answer
    if workload == "year":
        expected["year"], found = inside(bars.year), answer[3]
    if workload in expected and found != expected[workload]:
        raise SystemExit(f"{peer.name} {workload}: {found}, not {expected[workload]}")


def compare(path, rounds, notes):
    bars = Bars(path)
    service = subprocess.Popen([program(), "serve", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert service.stdout.readline().strip() == "ready"
    with tempfile.TemporaryDirectory() as root:
        peers = []
        for kind in (DuckDb, Polars, ArcticDb, Vortex):
            try:
                peer = kind(bars, pathlib.Path(root))
                peer.write()
                peer.open()
                peers.append(peer)
            except ImportError as error:
                notes.append(f"{kind.name} was not installed: {error}")
        tapes = [Tapestore(service, tier) for tier in TIERS]
        results = {each.name: {"cpu": {}, "wall": {}} for each in [*tapes, *peers]}
        for workload in bars.workloads:
            print(f"  {workload}", file=sys.stderr)
            several = min(rounds, 3) if workload == "write" else rounds
            for number in range(several + 1):
                for each in [*tapes, *peers]:
                    try:
                        if isinstance(each, Tapestore):
                            sample = each.timed(workload, bars, number)
                        else:
                            sample, answer = timed(each, workload, bars, number)
                            check(each, workload, bars, number, answer)
                    except NotImplementedError:
                        continue
                    if number > 0 or several == 1:  # the first warms up
                        keep(results[each.name], workload, sample)
        for tape in tapes:
            results[tape.name]["bytes"] = tape.bytes()
        commit = tapes[0].commit()
        for peer in peers:
            if hasattr(peer, "close_files"):
                peer.close_files()
            results[peer.name]["bytes"] = bytes_of(peer.path)
    service.stdin.close()
    service.wait()
    return {"table": path.name, "rows": len(bars.millis), "workloads": bars.workloads, "contenders": results}, commit


TIERS = ["hot", "dense", "cold"]


def compare_many(rounds, notes):
    """Bars of 30 instruments in six timeframes, all read at once, and a week of all."""
    with tempfile.TemporaryDirectory() as root:
        root = pathlib.Path(root)
        series = root / "series"
        series.mkdir()
        command = [program(), "serve-many", "--out", str(series)]
        service = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert service.stdout.readline().strip() == "ready"
        many = Many(series)
        peers = []
        for kind in (DuckDbMany, PolarsMany, ArcticDbMany, VortexMany):
            try:
                peers.append(kind(many, root))
            except ImportError as error:
                notes.append(f"{kind.name} was not installed: {error}")
        tapes = [Tapestore(service, tier) for tier in TIERS]
        results = {each.name: {"cpu": {}, "wall": {}} for each in [*tapes, *peers]}
        week = [millis * 1_000_000 for millis in many.week]
        for workload, rows, bounds in (("batch", many.rows, []), ("batch-week", many.week_rows, week)):
            print(f"  {workload}", file=sys.stderr)
            for number in range(rounds + 1):
                for each in [*tapes, *peers]:
                    if isinstance(each, Tapestore):
                        sample = each.ask("batch", *bounds)
                    else:
                        wall, cpu = time.perf_counter(), time.process_time()
                        found = each.batch() if workload == "batch" else each.week()
                        sample = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
                        if found != rows:
                            raise SystemExit(f"{each.name} {workload}: {found} rows, not {rows}")
                    if number > 0:  # the first warms up
                        keep(results[each.name], workload, sample)
        for tape in tapes:
            results[tape.name]["bytes"] = tape.bytes()
        for peer in peers:
            if hasattr(peer, "close_files"):
                peer.close_files()
            results[peer.name]["bytes"] = bytes_of(peer.path)
        service.stdin.close()
        service.wait()
    workloads = ["batch", "batch-week"]
    return {"table": "30 instruments × 6 timeframes", "rows": many.rows, "workloads": workloads, "contenders": results}


def program():
    """The comparison in Rust, which asks Tapestore."""
    target = os.environ.get("CARGO_TARGET_DIR", HERE / "target")
    return pathlib.Path(target) / "release/tape-compare"


def machine():
    """The processor, as the system names it."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--file", type=pathlib.Path, action="append")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "peers.json")
    arguments = parser.parse_args()
    files = arguments.file or [DATA / f"klines/{name}" for name in FILES]
    notes, tables, commit = [], [], "unknown"
    for path in files:
        print(path.name, file=sys.stderr)
        table, commit = compare(path, arguments.rounds, notes)
        tables.append(table)
    if not arguments.file:
        print("30 instruments × 6 timeframes", file=sys.stderr)
        tables.append(compare_many(arguments.rounds, notes))
    versions = {}
    for package in ("duckdb", "polars", "arcticdb", "vortex-data", "pyarrow"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    found = {
        "date": date, "machine": machine(), "commit": commit, "python": sys.version.split()[0], "versions": versions,
        "tables": tables, "notes": notes,
    }
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
