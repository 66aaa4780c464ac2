#!/usr/bin/env python3
"""Feeds golden stores and vectors to an implementation of the format, compares, and prints a score. See README.md.

    run.py [--tape] [--only TEXT] [--jobs N] [--vectors] COMMAND...
"""

import argparse
import concurrent.futures
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SPEC = os.path.dirname(HERE)
MISSING, NEWER, DAMAGE = 2, 3, 4
TIMEOUT = 120


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

    def vector(self, path):
        with open(path, encoding="utf-8") as file:
            vector = json.load(file)
        code, out, text = self.run(["decode-vector", path])
        if code != 0:
            return f"exit {code}: {text}"
        found = json.loads(out)
        if "error" not in vector:
            fields = [field for field in ("values", "records", "expected") if field in vector]
            differing = [field for field in fields if found.get(field) != vector[field]]
            return f"{differing or 'an error'}: {str(found)[:200]}" if differing or "error" in found else None
        error, wanted = found.get("error"), vector["error"]
        if not error:
            return "no error"
        rules = [wanted["rule"], *wanted.get("also", [])]
        return None if error["class"] == wanted["class"] and error["rule"] in rules else f"{error}, expected {wanted}"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def cases(runner, only, copies):
    """Every case: its name, and what runs it."""
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tape", action="store_true", help="the command has the options of tape")
    parser.add_argument("--only", default="", metavar="TEXT", help="only stores and vectors with this in their names")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--vectors", action="store_true", help="also vectors, by decode-vector")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.command:
        parser.error("which implementation?")
    runner = Runner(options.command, options.tape)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as copies, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        work = list(cases(runner, options.only, copies))
        if options.vectors:
            paths = sorted(glob.glob(f"{SPEC}/vectors/*valid/*.json"))
            work += [(os.path.relpath(path, SPEC), lambda path=path: runner.vector(path)) for path in paths if options.only in path]
        for (name, _), problem in zip(work, pool.map(lambda case: case[1](), work)):
            if problem:
                failed += 1
                print(f"FAILED {name}: {problem}")
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
