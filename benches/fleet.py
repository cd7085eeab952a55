#!/usr/bin/env python3
"""Many machines on one object store: what a push, a listing and a prune cost as
they become more.

    cargo build --release --features remote-s3 && benches/fleet.py [--hosts 1000]

Every machine has a small configuration of its own and takes one point. The
store is moto's S3 server on loopback (pip install 'moto[server]'), whose log
counts requests. At each size three pushes of one point are measured: of a
machine that pushed a moment ago ("again"), of one that last did when the fleet
had the size before ("since then": it reads what others added meanwhile), and of
one that is new. To get there sooner, the others share a cache. At the end one
machine prunes its own points, everything is checked, and a machine that is new
pulls a point.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CAIRN = Path(__file__).resolve().parent.parent / "target/release/cairn"
SIZES = (1, 10, 100, 300, 1000)


class Store:
    """The object store, and how often it was asked."""

    def __init__(self, work):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = work / "store.log"
        self.child = subprocess.Popen(
            ["moto_server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=self.log.open("wb"),
        )
        bucket = urllib.request.Request(f"http://127.0.0.1:{self.port}/cairn", method="PUT")
        for _ in range(300):
            try:
                urllib.request.urlopen(bucket).read()
                return
            except OSError:
                time.sleep(0.1)
        sys.exit("the object store does not answer")

    def asked(self):
        return sum(b"HTTP/1.1" in line for line in self.log.open("rb"))

    @property
    def url(self):
        return f"s3:http://127.0.0.1:{self.port}/cairn/fleet"


class Host:
    """A machine."""

    def __init__(self, work, number, store, cache=None):
        self.root = work / f"host-{number}"
        nixos = self.root / "etc/nixos"
        nixos.mkdir(parents=True)
        (self.root / "etc/hostname").write_text(f"host-{number}\n")
        (self.root / "etc/machine-id").write_text(f"{number:032x}\n")
        (nixos / "configuration.nix").write_text(f'{{ networking.hostName = "host-{number}"; }}\n')
        policy = self.root / "etc/cairn/policy.json"
        policy.parent.mkdir()
        if cache:
            known = self.root / "var/lib/cairn/remotes"
            known.mkdir(parents=True, mode=0o700)
            (known / "cache").symlink_to(cache)
        remote = {"url": store.url, "passwordFile": str(work / "password"), "knowledge": False}
        policy.write_text(json.dumps({"version": 1, "remotes": {"fleet": remote}}))

    def run(self, *args):
        begun = time.perf_counter()
        done = subprocess.run(
            [CAIRN, "--root", self.root, "--json", *args], capture_output=True, text=True,
            env={**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
        )
        if done.returncode:
            sys.exit(f"{args} failed with {done.returncode}: {done.stderr}")
        return time.perf_counter() - begun, json.loads(done.stdout)

    def change(self, text):
        (self.root / "etc/nixos/change.nix").write_text(f"# {text}\n{{ }}\n")
        self.run("create", "-r", text)


def measured(store, host, *args):
    before = store.asked()
    took, told = host.run(*args)
    time.sleep(0.05)
    return took, store.asked() - before, told


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=1000)
    args = parser.parse_args()
    if not CAIRN.exists():
        sys.exit("target/release/cairn is missing: cargo build --release --features remote-s3")
    if not shutil.which("moto_server"):
        sys.exit("moto_server is missing: pip install 'moto[server]'")
    work = Path(tempfile.mkdtemp(prefix="cairn-fleet-"))
    (work / "password").write_text("one for the fleet\n")
    store = Store(work)
    try:
        first = Host(work, 0, store)
        first.run("remote", "add", "made", store.url, "--new", "--password-file", work / "password")
        first.change("the first")
        first.run("remote", "push", "fleet")
        shared = work / "cache"
        shared.mkdir()
        print("machines     again            since then        new              list of all")
        known, begun = 1, time.perf_counter()
        for size in [s for s in SIZES if s <= args.hosts]:
            while known < size - 1:
                host = Host(work, known, store, shared)
                host.change("mine")
                host.run("remote", "push")
                shutil.rmtree(host.root)
                known += 1
            cost = []
            for change in ("since then", "again"):
                first.change(f"{change} at {size}")
                cost.append(measured(store, first, "remote", "push", "fleet"))
            if size > 1:
                new = Host(work, known, store)
                new.change("mine")
                cost.append(measured(store, new, "remote", "push"))
                known += 1
            listed = measured(store, first, "list", "--remote", "fleet", "--all-hosts")
            assert len(listed[2]["points"]["hosts"]) == size, (listed[2]["points"]["hosts"], size)
            then, again, *rest = [f"{took * 1000:6.0f} ms {asked:5}" for took, asked, _ in cost]
            new = rest[0] if rest else ""
            print(f"{size:8}   {again}   {then}   {new:15}   {listed[0] * 1000:6.0f} ms {listed[1]:5}", flush=True)
        print(f"\nall pushes together: {time.perf_counter() - begun:.0f} s")
        took, asked, told = measured(store, first, "remote", "prune", "fleet", "--yes", "--keep-last", "1")
        gone = len(told["prune"]["removed"])
        print(f"prune of one machine: {took:.1f} s, {asked} requests, {gone} points")
        took, asked, told = measured(store, first, "remote", "check", "fleet")
        print(f"check: {took:.1f} s, {asked} requests, {len(told['check']['problems'])} problems")
        assert not told["check"]["problems"], told
        new = Host(work, 999_999, store)
        name = f"host-{max(known - 1, 0)}"
        took, asked, _ = measured(store, new, "remote", "pull", "--host", name, "--remote", "fleet")
        print(f"a new machine pulls a point of {name}: {took:.1f} s, {asked} requests")
    finally:
        store.child.kill()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
