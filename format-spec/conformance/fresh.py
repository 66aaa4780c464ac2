#!/usr/bin/env python3
"""A store made anew: the command line and the reader in Python have to give the same for all of it, byte for byte.

    fresh.py [--seed N] [--keep DIRECTORY] GOLDEN TAPE

GOLDEN makes the store (`golden fresh`), TAPE is the command line. Without a seed, the day gives one; it is printed, and repeats the run.
"""

import argparse
import concurrent.futures
import datetime
import os
import random
import subprocess
import sys
import tempfile

from census import Census
from run import Runner, Score

HERE = os.path.dirname(os.path.abspath(__file__))
READER = [sys.executable, f"{os.path.dirname(HERE)}/reader/tapestore_reader.py"]
EACH = 2                        # versions of a series that are compared, beside the newest and the snapshots
MANY = "LONG.RUN"               # a series of so many rows that only the newest version is


def compare(first, second, store, action, *rest):
    """What differs between two programs."""
    results = [runner.run(runner.arguments(action, store, *rest)) for runner in (first, second)]
    (code, out, text), (other_code, other_out, other_text) = results
    if code != other_code:
        return f"exit {code} and {other_code}: {text} {other_text}"
    if code not in (0, 2):
        return f"exit {code}: {text}"
    if code == 0 and out != other_out:
        lines = zip(out.splitlines(), other_out.splitlines())
        place = next((f"line {number}: {a[:80]} and {b[:80]}" for number, (a, b) in enumerate(lines, 1) if a != b), "one is longer")
        return f"{len(out)} and {len(other_out)} bytes, {place}"
    return None


def verified(runner, store):
    code, out, text = runner.run(runner.arguments("verify", store))
    return None if code == 0 else f"exit {code}: {out.decode(errors='replace')[:300]} {text[:300]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep", metavar="DIRECTORY", help="makes the store there and leaves it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("golden")
    parser.add_argument("tape")
    options = parser.parse_args()
    seed = int(datetime.date.today().strftime("%Y%m%d")) if options.seed is None else options.seed
    print(f"fresh store, seed {seed}: fresh.py --seed {seed} repeats it", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        store = options.keep or f"{directory}/store"
        subprocess.run([options.golden, "fresh", str(seed), store], check=True)
        os.makedirs(f"{store}/leases", exist_ok=True)
        score = Score()
        check(options, seed, store, score)
        code = score.print()
    print(f"torture: fresh store, two readers | {sum(map(sum, score.of.values()))} comparisons | seed {seed} | failures {sum(b for _, b in score.of.values())}")
    sys.exit(code)


def check(options, seed, store, score):
    tape, reader = Runner([options.tape], True), Runner(READER, False)
    census = Census()
    census.store(store)
    missing = list(census.missing())
    for line in missing:
        score.add("census", "census", line)
    score.add("census", "census", None if not missing else f"{len(missing)} ids")
    facts = Facts(store)
    choice = random.Random(seed)
    work = [("verify", "tape verify", lambda: verified(tape, store)), ("verify", "reader verify", lambda: verified(reader, store))]
    for instrument, frame, bars in facts.series:
        readable = range(facts.floor, facts.newest + 1)
        others = [*facts.snapshots, *(str(version) for version in choice.sample(readable, min(EACH, len(readable))))]
        chosen = [None, *(others if instrument != MANY else [])]
        for as_of in chosen:
            rest = [instrument, frame, *(["--as-of", as_of] if as_of else [])]
            for action in ["export", "gaps"] if bars else ["export"]:
                work.append((action, f"{action} {' '.join(rest)}", lambda action=action, rest=rest: compare(tape, reader, store, action, *rest)))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for (subject, name, _), problem in zip(work, pool.map(lambda case: case[2](), work)):
            score.add(subject, name, problem)


class Facts:
    """Series, snapshots and versions of a store, as the reader finds them."""

    def __init__(self, path):
        from tapestore.store import Store
        store = Store(path)
        try:
            self.series = [(series.instrument, series.name, series.timeframe is not None) for number, series in sorted(store.series.items()) if number]
            self.snapshots, self.floor, self.newest = sorted(store.manifest.snapshots), max(store.manifest.floor, 1), store.newest
        finally:
            store.close()


if __name__ == "__main__":
    main()
