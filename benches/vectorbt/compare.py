#!/usr/bin/env python3
"""Backtests of 72 signals over a Hong Kong year of one-minute bars (81,180), by Tapestore and by vectorbt.

    python3 benches/vectorbt/compare.py [--rounds N] [--repeats N] [--engines rust,numba] [--built]

Makes its own environment beside the build (needs a network the first time), builds the example `vectorbt` of
`tape-benches`, checks that both have the same accounts, measures each in processes of its own, one after another in turn,
and writes RESULTS.md beside this file. Not part of CI. vectorbt is under the Apache licence with the Commons Clause: it is
run here, and nothing of it is shipped.
"""

import argparse
import array
import datetime
import json
import math
import os
import pathlib
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BARS, SIGNALS, FEES = 81_180, 72, (0.0, 0.0005)


def prepare(built):
    place = TARGET / "vectorbt-environment"
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
        (place / "ready").touch()
    program = TARGET / "release" / "examples" / "vectorbt"
    if built and program.exists():
        return python, program
    build = ["cargo", "build", "--release", "--locked", "-p", "tape-benches", "--example", "vectorbt"]
    subprocess.run(build, cwd=ROOT, check=True)
    return python, program


def make(directory):
    """Prices that wander, and signals of several kinds: noise, steps that last, and a few values."""
    source = random.Random(20260105)
    price, close = 300.0, array.array("d")
    for _ in range(BARS):
        price *= math.exp(source.gauss(0, 0.0005))
        close.append(round(price, 3))
    signals = array.array("d")
    for number in range(SIGNALS):
        value = 0.0
        for _ in range(BARS):
            if number % 3 == 0:
                value = max(-1.0, min(1.0, source.gauss(0, 0.5)))
            elif number % 3 == 1 and source.random() < 0.05:
                value = source.uniform(-1, 1)
            elif number % 3 == 2 and source.random() < 0.02:
                value = source.choice((-1.0, 0.0, 1.0))
            signals.append(value)
    for name, values in (("close", close), ("signals", signals)):
        (directory / f"{name}.f64").write_bytes(values.tobytes())


def run(command, threads):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
    work = lambda: (usage := resource.getrusage(resource.RUSAGE_CHILDREN)).ru_utime + usage.ru_stime
    started, before = time.perf_counter(), work()
    out = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, env=environment)
    found = json.loads(out.stdout.strip().splitlines()[-1])
    print(*command[:1], command[-1], found, file=sys.stderr)
    return {**found, "cold": [time.perf_counter() - started, work() - before]}


def middle(runs, key, part):
    return statistics.median(run[key][part] for run in runs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--engines", default="rust,numba")
    parser.add_argument("--built", action="store_true", help="take the example as it was built before")
    options = parser.parse_args()
    python, ours = prepare(options.built)
    cores, fee = os.cpu_count(), FEES[-1]
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        make(directory)
        tape = lambda fee, threads, what, repeats: [ours, directory, fee, threads, repeats, what]
        peer = lambda fee, engine, repeats: [python, HERE / "side.py", directory, fee, repeats, engine]
        differences = {}
        engines = options.engines.split(",")
        for other in FEES[:-1]:
            run(tape(other, cores, "same", 1), cores)
            for engine in engines:
                differences[other, engine] = run(peer(other, engine, 0), cores)["difference"]
        found = {}
        for _ in range(options.rounds):
            for name, command, threads in [
                ("Tapestore, 1 thread", tape(fee, 1, "same", 20), 1),
                (f"Tapestore, {cores} threads", tape(fee, cores, "same", 20), cores),
                ("Tapestore with rank correlations, 1 thread", tape(fee, 1, "all", 10), 1),
                *((f"vectorbt, engine {engine}", peer(fee, engine, options.repeats), cores) for engine in engines),
            ]:
                found.setdefault(name, []).append(run(command, threads))
        for engine in engines:
            differences[fee, engine] = max(run["difference"] for run in found[f"vectorbt, engine {engine}"])
    report(options, differences, found, cores)
    worst = max(differences.values())
    if not worst <= 1e-9:
        sys.exit(f"accounts differ by {worst}")


def report(options, differences, found, cores):
    base = found["Tapestore, 1 thread"]
    lines = [
        "# Backtests beside vectorbt",
        "",
        "Generated by `benches/vectorbt/compare.py`; do not edit.",
        "",
        f"{SIGNALS} signals over {BARS:,} one-minute bars. vectorbt 1.2.0 with vectorbt-rust 1.2.0, "
        "`Portfolio.from_orders(size_type=\"targetpercent\")`: each bar trades to the weight of the signal, so the backtest "
        "runs with `Rebalance::Paid`.",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {cores} cores, Python "
        f"{platform.python_version()}. The machine is shared (load {os.getloadavg()[0]:.1f} at the end), so times are those of "
        f"the processor, all threads together, unless they say otherwise: read ratios. Median of {options.rounds} processes "
        f"each, in turn; *warm*: mean of repeats in a process, {options.repeats} of vectorbt.",
        "",
        "## The same accounts",
        "",
        "Largest relative difference of the accounts of all signals after all bars (aimed at: 1e-9).",
        "",
        "| fee | engine | difference |",
        "|-|-|-|",
    ]
    lines += [f"| {fee:.2%} | {engine} | {value:.1e} |" for (fee, engine), value in differences.items()]
    lines += [
        "",
        "## Time and memory",
        "",
        "Seconds; in brackets: times Tapestore on one thread. *Account*: simulation, and the account after every bar, kept. "
        "*Metrics*: the account and what it is judged by: vectorbt total return, Sharpe, drawdown, orders, win rate, profit "
        "factor, mean trade; Tapestore these and stability, turnover, autocorrelation, information coefficient and its daily "
        "ratio, from one pass that keeps no account. *Cold*: the whole process, files, imports and all repeats but "
        "the first left out.",
        "",
        "| | account, warm | metrics, first | metrics, warm | metrics, warm, by the clock | cold | peak memory, account | with metrics |",
        "|-|-|-|-|-|-|-|-|",
    ]
    for name, runs in found.items():
        cells = []
        for key, part in (("account", 1), ("first", 1), ("warm", 1), ("warm", 0)):
            ours, theirs = middle(base, key, part), middle(runs, key, part)
            cells.append(f"{theirs:.2f} ({theirs / ours:.1f} ×)")
        times = 20 if "Tapestore" in name and "rank" not in name else 10 if "Tapestore" in name else options.repeats
        cold = middle(runs, "cold", 1) - times * middle(runs, "warm", 1)
        cells.append(f"{cold:.2f}")
        cells += [f"{statistics.median(run[key] for run in runs) / 1000:,.0f} MB" for key in ("peak_account_kb", "peak_kb")]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
