#!/usr/bin/python3
"""A stand-in for switch-to-configuration.

It keeps the contract of the real one: what it reads, what it calls in which
order, what it leaves behind, and its exit codes. Units are compared and started
as far as the generations of the bed need it.
"""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

ACTIONS = ["switch", "boot", "test", "dry-activate", "check"]
REQUIRED = [
    "OUT", "TOPLEVEL", "DISTRO_ID", "INSTALL_BOOTLOADER", "PRE_SWITCH_CHECK", "SYSTEMD",
]
RUN = Path("/run/nixos")
CURRENT_UNITS = Path("/etc/systemd/system")
# Cannot be restarted; and what systemd applies at daemon-reload by itself.
LEFT_ALONE = {"sysinit.target", "basic.target", "multi-user.target", "graphical.target"}
# A unit that differs in these only is the same unit.
IGNORED = {
    "Description", "Documentation", "OnFailure", "OnSuccess", "OnFailureJobMode",
    "IgnoreOnIsolate", "StopWhenUnneeded", "RefuseManualStart", "RefuseManualStop",
    "AllowIsolate", "CollectMode", "SourcePath",
}


def fail(code, text):
    print(text, file=sys.stderr, flush=True)
    sys.exit(code)


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(*command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, **options).returncode


def output(*command):
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


class Plan(dict):
    """Units to stop, start, restart and reload. The last three are on disk too,
    so that a run after an interrupted one does what was left."""

    def __init__(self):
        super().__init__(stop=set(), start=set(), restart=set(), reload=set())
        for kind in ["start", "restart", "reload"]:
            if self.file(kind).exists():
                self[kind].update(self.file(kind).read_text().split())

    @staticmethod
    def file(kind):
        return RUN / f"{kind}-list"

    def add(self, kind, unit, record=True):
        self[kind].add(unit)
        if record:
            with self.file(kind).open("a") as file:
                file.write(f"{unit}\n")

    def done(self, kind):
        self.file(kind).unlink(missing_ok=True)


def parse(path):
    """A unit file and its drop-ins, as {section: {key: [values]}}."""
    sections, section = {}, None
    drop_ins = sorted(Path(f"{path}.d").glob("*.conf"))
    for file in [path, *drop_ins]:
        for line in file.read_text().replace("\\\n", " ").splitlines():
            line = line.strip()
            if line.startswith("["):
                section = sections.setdefault(line.strip("[]"), {})
            elif "=" in line and line[0] not in "#;" and section is not None:
                key, value = line.split("=", 1)
                section.setdefault(key.strip(), []).append(value.strip())
    return sections


def flag(unit, key, default):
    value = unit.get("Unit", {}).get(key) or unit.get("Service", {}).get(key)
    return value[-1].lower() in ("1", "yes", "true", "on") if value else default


def essence(unit):
    kept = {name: dict(keys) for name, keys in unit.items() if name != "Install"}
    for key in IGNORED:
        kept.get("Unit", {}).pop(key, None)
    return kept


def units_in_states():
    """{unit: (active state, sub state)} of what is loaded."""
    listed = output("systemctl", "list-units", "--all", "--full", "--plain", "--no-legend")
    rows = (line.split(None, 4) for line in listed.splitlines())
    return {row[0]: (row[2], row[3]) for row in rows if len(row) >= 4}


def base_of(unit, folder):
    """The file of a unit, or that of its template."""
    file = folder / unit
    if not file.exists() and "@" in unit:
        name, rest = unit.split("@", 1)
        file = folder / f"{name}@.{rest.rsplit('.', 1)[1]}"
    return file


def is_there(file):
    return file.exists() and os.path.realpath(file) != "/dev/null"


def compare(new_units, plan):
    for unit, (active, _) in sorted(units_in_states().items()):
        if active not in ("active", "activating"):
            continue
        old_file, new_file = base_of(unit, CURRENT_UNITS), base_of(unit, new_units)
        if not is_there(old_file):
            continue
        old = parse(old_file)
        if not is_there(new_file):
            if flag(old, "X-StopOnRemoval", True):
                plan.add("stop", unit, record=False)
            continue
        new = parse(new_file)
        if unit.endswith(".target"):
            # Started again, so that what they newly want is started.
            if unit not in ("suspend.target", "hibernate.target", "hybrid-sleep.target"):
                if not flag(new, "RefuseManualStart", False) and not flag(
                    new, "X-OnlyManualStart", False
                ):
                    plan.add("start", unit)
            if flag(new, "X-StopOnReconfiguration", False):
                plan.add("stop", unit, record=False)
        elif essence(old) != essence(new):
            modified(unit, new, plan)


def modified(unit, new, plan):
    if unit in LEFT_ALONE or unit.endswith((".slice", ".path", ".socket")):
        return
    if flag(new, "X-ReloadIfChanged", False):
        plan.add("reload", unit)
    elif (
        not flag(new, "X-RestartIfChanged", True)
        or flag(new, "RefuseManualStop", False)
        or flag(new, "X-OnlyManualStart", False)
    ):
        return
    elif not flag(new, "X-StopIfChanged", True):
        plan.add("restart", unit)
    else:
        plan.add("stop", unit, record=False)
        plan.add("start", unit)


def listing(plan, kind):
    return ", ".join(sorted(plan[kind]))


def do_jobs(plan, kind, verb):
    if not plan[kind]:
        return True
    if any(not unit.endswith(".target") for unit in plan[kind]):
        say(f"{verb} the following units: {listing(plan, kind)}")
    code = run("systemctl", kind, "--", *sorted(plan[kind]), stderr=subprocess.DEVNULL)
    plan.done(kind)
    return code == 0


def settle():
    """Waits until nothing has happened for 250 ms, or for long enough."""
    for _ in range(40):
        time.sleep(0.25)
        if not output("systemctl", "list-jobs", "--no-legend").strip():
            return


def failed_units():
    return sorted(
        unit
        for unit, (active, sub) in units_in_states().items()
        if active == "failed" or sub == "auto-restart"
    )


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in ACTIONS:
        fail(1, f"Usage: switch-to-configuration [{'|'.join(ACTIONS)}]")
    action = sys.argv[1]
    missing = [name for name in REQUIRED if name not in os.environ]
    if missing:
        fail(1, f"missing in the environment: {' '.join(missing)}")
    if os.geteuid() != 0:
        fail(1, "switch-to-configuration must be run as root")
    out, toplevel = os.environ["OUT"], Path(os.environ["TOPLEVEL"])
    if not os.path.exists("/etc/NIXOS"):
        fail(2, "This is not a NixOS installation!")
    os.environ["NIXOS_ACTION"] = action

    RUN.mkdir(mode=0o755, exist_ok=True)
    lock = open(RUN / "switch-to-configuration.lock", "a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        fail(error.errno, "Could not acquire lock")

    if os.environ.get("NIXOS_NO_CHECK") != "1":
        if run(os.environ["PRE_SWITCH_CHECK"], toplevel, action) != 0:
            fail(1, "Pre-switch checks failed")
    if action == "check":
        return 0
    if action in ("switch", "boot"):
        if run(os.environ["INSTALL_BOOTLOADER"], toplevel) != 0:
            fail(1, "Failed to install bootloader")
    if os.environ.get("NIXOS_NO_SYNC") != "1":
        run("sync", "--file-system", "/nix/store")
    if action == "boot":
        return 0

    def interface(system):
        file = Path(system) / "init-interface-version"
        return file.read_text() if file.exists() else ""

    if interface("/run/current-system") != interface(toplevel):
        fail(100, "Warning: the new NixOS configuration has an 'init' that is incompatible")

    # All that follows is asked of systemd over D-Bus.
    manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1"]
    if run("busctl", "--quiet", "call", *manager, "org.freedesktop.DBus.Peer", "Ping") != 0:
        fail(1, "Error: Failed to open dbus connection")

    before = units_in_states()
    plan = Plan() if action != "dry-activate" else DryPlan()
    compare(toplevel / "etc/systemd/system", plan)
    if action == "dry-activate":
        for kind in plan:
            if plan[kind]:
                say(f"would {kind} the following units: {listing(plan, kind)}")
        run(f"{out}/dry-activate", out)
        return 0

    code = 0
    if plan["stop"]:
        say(f"stopping the following units: {listing(plan, 'stop')}")
        run("systemctl", "stop", "--", *sorted(plan["stop"]), stderr=subprocess.DEVNULL)
    say("activating the configuration...")
    if run(f"{out}/activate", out) != 0:
        code = 2
    if os.path.realpath("/proc/1/exe") != os.path.realpath(f"{toplevel}/systemd/lib/systemd/systemd"):
        say("restarting systemd...")
        run("systemctl", "daemon-reexec")
    run("systemctl", "reset-failed")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "sysinit-reactivation.target")
    well = [
        do_jobs(plan, "reload", "reloading"),
        do_jobs(plan, "restart", "restarting"),
        do_jobs(plan, "start", "starting"),
    ]
    settle()

    after = units_in_states()
    new = sorted(
        unit
        for unit, (active, _) in after.items()
        if active == "active"
        and before.get(unit, ("inactive",))[0] != "active"
        and unit not in plan["start"]
    )
    if new:
        say(f"the following new units were started: {', '.join(new)}")
    failed = failed_units()
    if failed:
        say(f"warning: the following units failed: {', '.join(failed)}")
        run("systemctl", "status", "--no-pager", "--full", *failed, stdout=sys.stderr)
    return 4 if failed or not all(well) else code


class DryPlan(Plan):
    """Writes nothing."""

    def add(self, kind, unit, record=True):
        super().add(kind, unit, record=False)


if __name__ == "__main__":
    sys.exit(main())
