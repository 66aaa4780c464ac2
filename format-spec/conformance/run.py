#!/usr/bin/env python3
"""Feeds golden stores and vectors to an implementation of the format, compares, and prints a score. See README.md.

    run.py [--tape] [--only TEXT] [--jobs N] [--stores | --vectors] COMMAND...
"""

import argparse
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import living

HERE = os.path.dirname(os.path.abspath(__file__))
SPEC = os.path.dirname(HERE)
MISSING, NEWER, DAMAGE = 2, 3, 4
TIMEOUT = 120
BATCH = 40                      # vectors for one run of the program


class Runner:
    def __init__(self, command, tape):
        self.command, self.tape = command, tape

    def arguments(self, action, store, *rest):
        """The contract of README.md, or the options of the command line `tape`."""
        if not self.tape:
            return [action, store, *rest]
        extra = {"export": ["--csv", "--time", "ns"], "gaps": ["--json"], "verify": ["--deep", "--json"]}[action]
        return ["--store", store, "--quiet", action, *rest, *extra]

    def run(self, arguments):
        try:
            done = subprocess.run([*self.command, *arguments], capture_output=True, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            return "no end", b"", ""
        return done.returncode, done.stdout, done.stderr.decode(errors="replace").strip()

    def rows(self, action, store, case, expected, damaged):
        """Export or gaps of one case; says what is wrong."""
        as_of = [] if case["as_of"] is None else ["--as-of", case["as_of"]]
        code, out, text = self.run(self.arguments(action, store, case["instrument"], case["frame"], *as_of))
        if expected is None:
            wanted = {"missing": (MISSING,), "newer": (NEWER, DAMAGE)}.get(case["error"]["class"], (DAMAGE,))
            return None if code in wanted else f"exit {code}, expected {wanted} {text}"
        if code == 0:
            return None if out == expected else f"{len(out)} bytes that differ from the {len(expected)} expected"
        # A store that is damaged in part may be refused as a whole.
        return None if code == DAMAGE and damaged else f"exit {code}: {text}"

    def verify(self, store, findings):
        code, out, text = self.run(self.arguments("verify", store))
        if not findings:
            # 1: a remark, such as a torn end.
            return None if code in (0, 1) else f"exit {code}: {out.decode(errors='replace')[:200]} {text}"
        if code != DAMAGE:
            return f"exit {code}, expected {DAMAGE}"
        found = [json.loads(line) for line in out.splitlines() if line.strip()]
        found = {(os.path.basename(finding["file"]), finding["rule"]) for finding in found}
        wanted = {(finding["file"], finding["rule"]) for finding in findings}
        # Which of two files that do not fit is to blame, and which of two broken rules is named, may differ; not both.
        if all(any(file == other or rule == named for other, named in found) for file, rule in wanted):
            return None
        return f"found {sorted(found)}, expected {sorted(wanted)}"

    def vectors(self, paths):
        """What is wrong with each of some vectors. Those behind one that ends the program are given to it again, one by one."""
        code, out, text = self.run(["decode-vector", *paths])
        lines = out.decode(errors="replace").splitlines()
        if len(paths) > 1 and (code != 0 or len(lines) != len(paths)):
            return [self.vectors([path])[0] for path in paths]
        if code != 0 or len(lines) != len(paths):
            return [f"exit {code}, {len(lines)} lines: {text[:200]}"]
        return [compared(path, line) for path, line in zip(paths, lines)]


def compared(path, line):
    """What is wrong with the answer to a vector."""
    vector = json.loads(read(path))
    try:
        found = json.loads(line)
    except ValueError:
        return f"no JSON: {line[:200]}"
    error, wanted = found.get("error"), vector.get("error")
    if wanted is None:
        fields = [field for field in ("values", "records", "expected") if field in vector]
        differing = [field for field in fields if found.get(field) != vector[field]]
        return f"{differing or 'an error'}: {str(found)[:200]}" if differing or error else None
    if not error:
        return "no error"
    rules = [wanted["rule"], *wanted.get("also", [])]
    return None if error["class"] == wanted["class"] and error["rule"] in rules else f"{error}, expected {wanted}"


def chapters():
    """Which chapter states each rule."""
    found = {}
    for path in sorted(glob.glob(f"{SPEC}/*.md")):
        for rule in re.findall(r"\*\*([A-Z][0-9]{1,2})\*\*", read(path).decode()):
            found.setdefault(rule, os.path.basename(path))
    return found


def read(path):
    with open(path, "rb") as file:
        return file.read()


def cases(runner, only, copies):
    """Every case of a store: its name, and what runs it."""
    for directory in sorted(glob.glob(f"{SPEC}/golden/v*/*/")):
        name = os.path.relpath(directory, f"{SPEC}/golden")
        if only not in name:
            continue
        store = os.path.join(copies, name)
        shutil.copytree(f"{directory}/store", store)
        os.makedirs(f"{store}/leases", exist_ok=True)
        with open(f"{directory}/expected/case.json", encoding="utf-8") as file:
            expected = json.load(file)
        damaged = bool(expected["findings"])
        yield f"{name} verify", lambda store=store, expected=expected: runner.verify(store, expected["findings"])
        if expected["error"]:
            case = {"instrument": "A", "frame": "1m", "as_of": None, "error": expected["error"]}
            yield f"{name} open", lambda store=store, case=case: runner.rows("export", store, case, None, True)
        for case in expected["exports"]:
            title = f"{name} {case['instrument']} {case['frame']} {case['as_of'] or 'newest'}"
            for action, field in (("export", "csv"), ("gaps", "gaps")):
                if field == "gaps" and field not in case:
                    continue
                text = read(f"{directory}/expected/{case[field]}") if field in case else None
                yield (f"{title} {action}", lambda action=action, store=store, case=case, text=text, damaged=damaged:
                       runner.rows(action, store, case, text, damaged))


class Score:
    def __init__(self):
        self.of = {}

    def add(self, subject, name, problem):
        counts = self.of.setdefault(subject, [0, 0])
        counts[bool(problem)] += 1
        if problem:
            print(f"FAILED {name}: {problem}")

    def print(self):
        """Gives the exit code."""
        for subject, (passed, failed) in sorted(self.of.items()):
            print(f"{subject:16} {passed:5} passed, {failed} failed")
        passed, failed = (sum(counts[index] for counts in self.of.values()) for index in (0, 1))
        print(f"{passed} passed, {failed} failed")
        return 1 if failed or not passed else 0


def run_stores(runner, options, pool, score):
    with tempfile.TemporaryDirectory() as copies:
        work = list(cases(runner, options.only, copies))
        work += [case for case in living.cases(runner, copies) if options.only in case[0]]
        for (name, _), problem in zip(work, pool.map(lambda case: case[1](), work)):
            score.add("stores", name, problem)


def run_vectors(runner, options, pool, score):
    stated = chapters()
    paths = [path for path in sorted(glob.glob(f"{SPEC}/vectors/*valid/*.json")) if options.only in path]
    batches = [paths[at:at + BATCH] for at in range(0, len(paths), BATCH)]
    for batch, problems in zip(batches, pool.map(runner.vectors, batches)):
        for path, problem in zip(batch, problems):
            rule = json.loads(read(path))["rule"]
            score.add(stated.get(rule, rule), os.path.relpath(path, SPEC), problem)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tape", action="store_true", help="the command has the options of tape")
    parser.add_argument("--only", default="", metavar="TEXT", help="only stores and vectors with this in their names")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--stores", action="store_true", help="only stores")
    parser.add_argument("--vectors", action="store_true", help="only vectors, by decode-vector")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.command:
        parser.error("which implementation?")
    runner, score = Runner(options.command, options.tape), Score()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        if not options.vectors:
            run_stores(runner, options, pool, score)
        if not options.stores and not options.tape:
            run_vectors(runner, options, pool, score)
    sys.exit(score.print())


if __name__ == "__main__":
    main()
