#!/usr/bin/env python3
"""Times the spine against what it must beat, in one run.

    cargo build --release && benches/spine.py [--runs 15]

Every figure is of whole processes: the two sides run in turn (A B A B …), the
median counts, and the ratio is taken pair by pair, so that a machine whose
speed drifts does not matter. Memory is the peak resident size as `time -v`
has it, when GNU time is there. Needs nix-store and nix-env; restic and borg are
compared with when they are there. Exits 1 when a target is missed.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

CAIRN = Path(__file__).resolve().parent.parent / "target/release/cairn"


def run(command, env=None):
    """Runs a command to its end, in milliseconds."""
    quiet = os.open(os.devnull, os.O_RDWR)
    begun = time.perf_counter()
    pid = os.posix_spawnp(
        command[0],
        [str(part) for part in command],
        {**os.environ, **(env or {})},
        file_actions=[(os.POSIX_SPAWN_DUP2, quiet, fd) for fd in (0, 1, 2)],
    )
    _, status = os.waitpid(pid, 0)
    took = (time.perf_counter() - begun) * 1000
    os.close(quiet)
    if status:
        sys.exit(f"failed with {os.waitstatus_to_exitcode(status)}: {' '.join(map(str, command))}")
    return took


def peak_memory(command, env=None):
    """Peak resident MiB of one run, measured from a small parent: a child of
    this interpreter would be charged the interpreter's own size."""
    if not os.path.exists("/usr/bin/time"):
        return None
    timed = ["/usr/bin/time", "-f", "%M", *map(str, command)]
    ended = subprocess.run(
        timed, env={**os.environ, **(env or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    return int(ended.stderr.split()[-1]) / 1024


class Row:
    """One command, timed."""

    def __init__(self, name, command, env=None, before=lambda: None):
        self.name, self.command, self.env, self.before = name, command, env, before
        self.times = []
        self.peak = None

    def once(self, counted):
        self.before()
        took = run(self.command, self.env)
        if counted:
            self.times.append(took)

    def memory(self):
        self.before()
        self.peak = peak_memory(self.command, self.env)
        return "" if self.peak is None else f"{self.peak:6.1f} MiB"

    @property
    def median(self):
        return statistics.median(self.times)


def race(title, rows, runs, warm=2):
    """Runs all rows in turn and prints them against the first; the first few
    turns, to warm up, do not count. The order changes from turn to turn, so that
    no row always runs on what the same other one left behind."""
    if title:
        print(f"\n{title}")
    order = random.Random(1)
    for turn in range(runs + warm):
        for row in order.sample(rows, len(rows)):
            row.once(counted=turn >= warm)
    first = rows[0]
    for row in rows:
        ratio = statistics.median(b / a for a, b in zip(first.times, row.times))
        print(
            f"  {row.name:<34} {row.median:8.1f} ms  "
            f"({min(row.times):.1f}–{max(row.times):.1f})  {row.memory()}"
            + ("" if row is first else f"   {ratio:6.1f} × the first")
        )
    return rows


def configuration(root, files=11, total=30_000):
    """A configuration of `files` files and about `total` bytes."""
    folder = root / "etc/nixos/hosts"
    folder.mkdir(parents=True)
    line = "  services.openssh.enable = true; # line {}\n"
    for n in range(files):
        text = "{ ... }:\n{\n"
        while len(text) < total // files - 2:
            text += line.format(f"{n}-{len(text)}")
        place = folder if n % 2 else folder.parent
        (place / f"module-{n}.nix").write_text(text + "}\n")


def toplevels(root, count):
    """`count` generations of distinct systems in a private store."""
    source = root / "toplevels"
    for n in range(1, count + 1):
        top = source / f"nixos-system-bench-26.05.{n}"
        top.mkdir(parents=True)
        (top / "nixos-version").write_text(f"26.05.{n}\n")
        (top / "init-interface-version").write_text("systemd 2\n")
    store = ["nix-store", "--store", root, "--option", "substituters", ""]
    paths = subprocess.run(
        [*store, "--add", *sorted(source.iterdir())], check=True, capture_output=True, text=True
    ).stdout.split()
    kernel = source / "linux-6.12.30"
    (kernel / "lib/modules/6.12.30").mkdir(parents=True)
    shutil.rmtree(root / "toplevels")
    profiles = root / "nix/var/nix/profiles"
    profiles.mkdir(parents=True, exist_ok=True)
    for n, path in enumerate(paths, 1):
        (profiles / f"system-{n}-link").symlink_to(path)
    (profiles / "system").symlink_to(f"system-{count}-link")


def uuid7(moment_ms):
    """A UUIDv7 of that moment."""
    value = moment_ms << 80 | 7 << 76 | os.getrandom(2)[0] << 64 | 2 << 62 | uuid.uuid4().int >> 66
    return str(uuid.UUID(int=value))


def documents(state, count):
    """Copies one real document under `count` new ids."""
    real = next((state / "points").iterdir())
    point = json.loads(real.read_text())
    now = int(time.time() * 1000)
    for n in range(count - 1):
        point["id"] = uuid7(now - (n + 1) * 60_000)
        (state / f"points/{point['id']}.json").write_text(json.dumps(point, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    if not CAIRN.exists():
        sys.exit("target/release/cairn is missing: cargo build --release")
    work = Path(tempfile.mkdtemp(prefix="cairn-bench-"))
    try:
        sys.exit(0 if measure(work, runs) else 1)
    finally:
        subprocess.run(["chmod", "-R", "u+w", work], check=False)
        shutil.rmtree(work, ignore_errors=True)


def measure(work, runs):
    root = work / "root"
    configuration(root)
    toplevels(root, 500)
    cairn = [CAIRN, "--root", root]
    run([*cairn, "create"])
    config = root / "etc/nixos"

    rows = [Row("cairn create", [*cairn, "create"])]
    copy = work / "copy"
    rows.append(
        Row(
            "cp -a, sync -f",
            ["sh", "-c", f"cp -a {config} {copy} && find {copy} -type f -exec sync {{}} + && sync {copy}"],
            before=lambda: shutil.rmtree(copy, ignore_errors=True),
        )
    )
    password = {"RESTIC_PASSWORD": "x", "BORG_PASSPHRASE": "x", "BORG_BASE_DIR": str(work)}
    if shutil.which("restic"):
        restic = ["restic", "-q", "--cache-dir", work / "cache", "-r", work / "restic"]
        run([*restic, "init"], password)
        rows.append(Row("restic backup", [*restic, "backup", config], password))
    if shutil.which("borg"):
        borg = work / "borg"
        run(["borg", "init", "-e", "repokey", borg], password)
        rows.append(Row("borg create", ["borg", "create", f"{borg}::{{now:%s.%f}}", config], password))
    create, *_ = race("restore point of 11 files, 30 KB, 500 generations", rows, runs)

    profile = root / "nix/var/nix/profiles/system"
    # Apart, not in turn: nix-env's lock file changes the profiles folder, after
    # which the next listing is read anew.
    (nix_env,) = race(
        "500 generations",
        [Row("nix-env --list-generations",
             ["nix-env", "--store", root, "-p", profile, "--list-generations"])],
        runs,
    )
    time.sleep(3)
    remembered = root / "var/lib/cairn/listing-system.cache"
    listing, *_ = race(
        None,
        [
            Row("cairn generations list", [*cairn, "generations", "list"]),
            Row("cairn generations list --json", [*cairn, "generations", "list", "--json"]),
        ],
        runs,
    )
    race(
        None,
        [Row("… read anew each time", [*cairn, "generations", "list"],
             before=lambda: remembered.unlink(missing_ok=True))],
        runs,
    )
    faster = nix_env.median / listing.median

    shutil.rmtree(root / "var")
    run([*cairn, "create"])
    documents(root / "var/lib/cairn", 1000)
    points, *_ = race(
        "1,000 restore points",
        [Row("cairn list", [*cairn, "list"]), Row("cairn list --json", [*cairn, "list", "--json"])],
        runs,
    )

    print("\ntargets")
    good = True
    for name, value, holds in [
        ("create ≤ 20 ms", f"{create.median:.1f} ms", create.median <= 20),
        ("generations list ≥ 10 × nix-env", f"{faster:.1f} ×", faster >= 10),
        ("list of 1,000 points ≤ 20 ms", f"{points.median:.1f} ms", points.median <= 20),
    ]:
        print(f"  {'met   ' if holds else 'missed'} {name}: {value}")
        good = good and holds
    return good


if __name__ == "__main__":
    main()
