#!/usr/bin/env python3
"""Reads a Tapestore store without its library.

    tapestore_reader.py export STORE INSTRUMENT FRAME [--as-of VERSION|NAME|TIME]
    tapestore_reader.py gaps STORE INSTRUMENT FRAME [--as-of VERSION|NAME|TIME]
    tapestore_reader.py ls STORE
    tapestore_reader.py verify STORE
    tapestore_reader.py decode-vector FILE...

Exit codes: 0 clean, 2 usage or nothing of that name, 3 input/output, 4 damage.
"""

import argparse
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from tapestore import text  # noqa: E402
from tapestore.basics import Damage, Missing  # noqa: E402
from tapestore.store import Store  # noqa: E402
from tapestore.vectors import decode  # noqa: E402
from tapestore.verify import verify  # noqa: E402


def write(lines):
    batch, size = [], 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size > 1 << 20:
            sys.stdout.buffer.write(("\n".join(batch) + "\n").encode())
            batch, size = [], 0
    if batch:
        sys.stdout.buffer.write(("\n".join(batch) + "\n").encode())
    sys.stdout.buffer.flush()


def decode_vector(path):
    """What a vector decodes to, or the class and rule of the error."""
    with open(path, encoding="utf-8") as file:
        vector = json.load(file)
    try:
        return decode(vector)
    except Damage as damage:
        return {"error": {"class": damage.kind, "rule": damage.rule}}


def run(arguments):
    if arguments.command == "decode-vector":
        for path in arguments.file:
            write([json.dumps(decode_vector(path), ensure_ascii=False)])
        return 0
    if arguments.command == "verify":
        findings = 0
        for finding in verify(arguments.store):
            findings += 1
            write([json.dumps(finding, ensure_ascii=False)])
        return 4 if findings else 0
    store = Store(arguments.store)
    try:
        if arguments.command == "ls":
            for series in sorted(store.series.values(), key=lambda s: (s.instrument, s.name)):
                if series.id and series.at(store.newest):
                    rows = store.visible(series, store.newest, [])
                    first, last = (rows[0].time, rows[-1].time) if rows else (None, None)
                    found = {"instrument": series.instrument, "frame": series.name, "rows": len(rows), "first": first, "last": last}
                    write([json.dumps(found, ensure_ascii=False)])
            return 0
        series = store.find(arguments.instrument, arguments.frame)
        version = store.version(arguments.as_of)
        if arguments.command == "export":
            write(text.csv(*store.export(series, version)) if series.at(version) else store.visible(series, version))
        else:
            write(json.dumps({"start": a, "end": b, "missing": n}) for a, b, n in store.gaps(series, version))
        return 0
    finally:
        store.close()


def main():
    parser = argparse.ArgumentParser(description="Reads a Tapestore store without its library.")
    commands = parser.add_subparsers(dest="command", required=True)
    vectors = commands.add_parser("decode-vector")
    vectors.add_argument("file", nargs="+")
    for name in ("export", "gaps", "ls", "verify"):
        command = commands.add_parser(name)
        command.add_argument("store")
        if name in ("export", "gaps"):
            command.add_argument("instrument")
            command.add_argument("frame")
            command.add_argument("--as-of")
    try:
        return run(parser.parse_args())
    except Damage as damage:
        found = {"file": damage.file, "offset": damage.offset, "rule": damage.rule, "class": damage.kind, "detail": damage.detail}
        print(json.dumps(found, ensure_ascii=False), file=sys.stderr)
        return 4
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 3
    except OSError as error:
        print(error, file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
