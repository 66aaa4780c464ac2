"""Stores with a living writer, played by this process: what readers may show, and rule V1 (store.md)."""

import fcntl
import os
import shutil
import struct
import zlib

SPEC = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOLDEN = f"{SPEC}/golden/v1/logs/store"
CASE = {"instrument": "CHAIN", "frame": "1m", "as_of": None}
DAMAGE = 4


def commits(path):
    """The version of each transaction in a log, and the offset behind its record."""
    with open(path, "rb") as file:
        data = file.read()
    at, found, version = 64, [], None
    while at < len(data):
        length, kind, flags = struct.unpack_from("<HBB", data, at + 4)
        if flags & 1:
            version = struct.unpack_from("<Q", data, at + 24)[0]
        at += (24 + length + 7) // 8 * 8
        if flags & 2 and kind == 2:
            found.append((version, at))
    return found


def hint(store, log, end):
    """store.md, `visible`: 32 bytes, seeded with file id 0."""
    fields = struct.pack("<QQ", log, end)
    return fields + struct.pack("<I", zlib.crc32(store + struct.pack("<Q", 0) + fields)) + bytes(12)


def cases(runner, copies):
    """The hint says how much of the newest log counts; a hint of another log says nothing; one that never validates is V1."""
    newest = max(name for name in os.listdir(GOLDEN) if name.startswith("wal-"))
    number, found = int(newest[4:-5]), commits(f"{GOLDEN}/{newest}")
    with open(f"{GOLDEN}/CURRENT", "rb") as file:
        identity = file.read()[12:28]
    hints = [(f"up to version {version}", hint(identity, number, end), str(version)) for version, end in found]
    hints.append(("of another log", hint(identity, number + 7, 64), str(found[-1][0])))
    hints.append(("of another store", hint(bytes(16), number, 64), None))
    hints.append(("half written", hint(identity, number, found[0][1])[:17] + bytes(15), None))
    for place, (title, visible, version) in enumerate(hints):
        yield f"living writer, hint {title}", lambda place=place, visible=visible, version=version: with_writer(runner, f"{copies}/living-{place}", visible, version)


def with_writer(runner, store, visible, version):
    shutil.copytree(GOLDEN, store)
    os.makedirs(f"{store}/leases", exist_ok=True)
    wanted = None
    if version is not None:
        code, wanted, text = runner.run(runner.arguments("export", store, CASE["instrument"], CASE["frame"], "--as-of", version))
        if code:
            return f"version {version}: exit {code}: {text}"
    with open(f"{store}/visible", "wb") as file:
        file.write(visible)
    with open(f"{store}/LOCK", "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, out, text = runner.run(runner.arguments("export", store, CASE["instrument"], CASE["frame"]))
    if wanted is None:
        return None if code == DAMAGE else f"exit {code}, expected {DAMAGE}: V1"
    if code:
        return f"exit {code}: {text}"
    return None if out == wanted else f"{len(out)} bytes that differ from the {len(wanted)} of version {version}"
