#!/usr/bin/env python3
"""Times state sets against restic and borg, in one run: 1 GiB in 5,000 files.

    cargo build --release && benches/state.py [--ram] [--runs 3] [--files 5000] [--mib 1024]

A point of a policy with one state set, taken first, taken again with nothing
changed, and brought back. The others do the same with the same files. Medians,
and ratios pair by pair; exits 1 when a target is missed. Needs restic, borg and
GNU time, and room for the data on the disk of --dir: nine times.

Nobody is faster than the disk: the row of dd, which writes as much and flushes
it, tells what is its part. --ram measures in memory (tmpfs), where only the
programs differ.
"""

import argparse
import json
import random
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from spine import CAIRN, Row, configuration, race, run, toplevels

PASSWORD = {"RESTIC_PASSWORD": "x", "BORG_PASSPHRASE": "x"}

# What the figures must hold, as shares of restic's time, and in MiB.
TARGETS = {"first": 0.8, "unchanged": 0.35, "restore": 0.6}
MEMORY = 350


def data(folder, files, mib):
    """Files of three sizes, half of each noise and half text; always the same."""
    chance = random.Random(1)
    total = mib << 20
    large, middle = files // 50, files // 5
    sizes = [total * 55 // 100 // large] * large + [total * 35 // 100 // middle] * middle
    rest = files - len(sizes)
    sizes += [total // 10 // rest] * rest
    line = b"2026-11-25 12:00:00 order %d of customer %d was shipped\n"
    for n, size in enumerate(sizes):
        place = folder / f"{n % 7}" / f"{n % 61}"
        place.mkdir(parents=True, exist_ok=True)
        text = line % (n, chance.getrandbits(16))
        half = (text * (size // 2 // len(text) + 1))[: size // 2]
        (place / f"file-{n}").write_bytes(chance.randbytes(size - len(half)) + half)


def settle(folder):
    """Waits until the disks are idle: what was deleted is discarded in the
    background, and whoever writes next waits for that."""
    run(["sync", "-f", folder])
    end = time.monotonic() + 10
    before = None
    while (now := Path("/proc/diskstats").read_text()) != before and time.monotonic() < end:
        before = now
        time.sleep(0.5)


class Bench:
    """One copy of the data, and three programs that keep it."""

    def __init__(self, work, files, mib):
        self.work, self.root = work, work / "root"
        self.app = self.root / "var/lib/app"
        self.kept = work / "kept"
        self.mib = mib
        configuration(self.root)
        toplevels(self.root, 3)
        policy = self.root / "etc/cairn/policy.json"
        policy.parent.mkdir(parents=True)
        policy.write_text(json.dumps({"version": 1, "state": {"app": {"paths": ["/var/lib/app"]}}}))
        data(self.app, files, mib)
        # A file that young would be read twice.
        run(["sync", "-f", self.app])
        self.cairn = [CAIRN, "--root", self.root]
        self.restic = ["restic", "-q", "--cache-dir", work / "cache", "-r", work / "restic"]
        self.borg = work / "borg"
        self.env = {**PASSWORD, "BORG_BASE_DIR": str(work / "borg-base")}

    def afresh(self, *names):
        """Removes what programs keep, and makes their empty repositories."""
        for name in names:
            shutil.rmtree(self.work / name, ignore_errors=True)
        if "root/var/lib/cairn" in names:
            # Makes the vault.
            run([*self.cairn, "create", "--no-state"])
        if "restic" in names:
            run([*self.restic, "init"], self.env)
        if "borg" in names:
            run(["borg", "init", "-e", "repokey", self.borg], self.env)
        settle(self.work)

    def captures(self, fresh):
        """A row for each program that takes the data."""
        gone = {
            "cairn": ["root/var/lib/cairn"],
            "restic": ["restic", "cache"],
            "borg": ["borg", "borg-base"],
        }
        before = {
            name: (lambda gone=gone: self.afresh(*gone)) if fresh else (lambda: None)
            for name, gone in gone.items()
        }
        return [
            Row("cairn create", [*self.cairn, "create"], before=before["cairn"]),
            Row("restic backup", [*self.restic, "backup", self.app], self.env, before["restic"]),
            Row("borg create", ["borg", "create", f"{self.borg}::{{now:%s.%f}}", self.app],
                self.env, before["borg"]),
        ]

    def empty(self):
        """The data goes, and what was brought back before."""
        for folder in (self.app, self.kept):
            shutil.rmtree(folder, ignore_errors=True)
        self.kept.mkdir()
        settle(self.work)

    def restores(self, point, archive):
        """A row for each program that brings the data back. What cairn brings
        back is on disk when it ends; the others are timed until theirs is, too,
        and restic without that as well."""
        back = [*self.cairn, "restore", point, "--only", "state", "--yes"]
        restic = [*self.restic, "restore", "latest", "--target", self.kept]
        synced = f"{shlex.join(map(str, restic))} && sync -f {self.kept}"
        much = ["dd", "if=/dev/zero", f"of={self.kept}/much", "bs=1M", f"count={self.mib}", "conv=fsync"]
        borg = f"cd {self.kept} && borg extract {self.borg}::{archive} && sync -f ."
        return [
            Row("cairn restore", back, before=self.empty),
            Row("restic restore; sync", ["sh", "-c", synced], self.env, self.empty),
            Row("borg extract; sync", ["sh", "-c", borg], self.env, self.empty),
            Row("restic restore", restic, self.env, self.empty),
            Row("dd; sync", much, before=self.empty),
        ]


def share(rows):
    """The first row's time as a share of the second's, pair by pair."""
    return statistics.median(a / b for a, b in zip(rows[0].times, rows[1].times))


def measure(work, runs, files, mib):
    bench = Bench(work, files, mib)
    size = f"{mib} MiB in {files:,} files"
    first = race(f"first capture of {size}", bench.captures(fresh=True), runs, warm=0)
    same = race("with nothing changed", bench.captures(fresh=False), runs, warm=1)
    listed = subprocess.run(
        [*map(str, bench.cairn), "--json", "list"], check=True, capture_output=True, text=True
    )
    point = json.loads(listed.stdout)["points"]["items"][-1]["id"]
    archive = subprocess.run(
        ["borg", "list", "--short", "--last", "1", str(bench.borg)],
        check=True, capture_output=True, text=True, env={**bench.env, "PATH": "/usr/bin:/bin"},
    ).stdout.strip()
    back = race(f"bringing {size} back", bench.restores(point, archive), runs, warm=0)

    print("\ntargets")
    good = True
    for name, rows in [("first", first), ("unchanged", same), ("restore", back)]:
        holds = share(rows) <= TARGETS[name]
        good = good and holds
        peak = rows[0].peak
        fits = peak is None or peak <= MEMORY
        good = good and fits
        against = rows[1].name
        print(
            f"  {'met   ' if holds else 'missed'} {name} ≤ {TARGETS[name]} × {against}: {share(rows):.2f} ×\n"
            f"  {'met   ' if fits else 'missed'} {name} in {MEMORY} MiB: {peak and round(peak)} MiB"
        )
    early = statistics.median(a / b for a, b in zip(back[0].times, back[3].times))
    print(f"         where restic may end before its data is on disk: {early:.2f} ×")
    disk = statistics.median(a / b for a, b in zip(back[0].times, back[4].times))
    print(f"         against dd, which writes as much: {disk:.2f} ×")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--mib", type=int, default=1024)
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--dir", help="where the data goes; /tmp")
    place.add_argument("--ram", action="store_true", help="in memory")
    args = parser.parse_args()
    if not CAIRN.exists():
        sys.exit("target/release/cairn is missing: cargo build --release")
    for tool in ("restic", "borg"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing")
    folder = "/dev/shm" if args.ram else args.dir
    work = Path(tempfile.mkdtemp(prefix="cairn-bench-", dir=folder))
    try:
        sys.exit(0 if measure(work, args.runs, args.files, args.mib) else 1)
    finally:
        subprocess.run(["chmod", "-R", "u+w", work], check=False)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
