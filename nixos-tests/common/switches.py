import json

profile = "/nix/var/nix/profiles/system"


def switch_to(toplevel: str, action: str = "switch") -> int:
    """Switches as nixos-rebuild does: the profile first, then the switch in a
    unit of its own. Gives the exit code of switch-to-configuration."""
    if action in ["switch", "boot"]:
        machine.succeed(f"nix-env -p {profile} --set {toplevel}")
    code, output = machine.execute(
        "systemd-run -E LOCALE_ARCHIVE -E NIXOS_INSTALL_BOOTLOADER -E NIXOS_NO_CHECK"
        " --collect --no-ask-password --pipe --quiet --service-type=exec"
        " --unit=nixos-rebuild-switch-to-configuration"
        f" {toplevel}/bin/switch-to-configuration {action} </dev/null 2>&1"
    )
    print(output)
    return code


def target_of(link: str) -> str:
    return machine.succeed(f"readlink -f {link}").strip()


def assert_runs(toplevel: str) -> None:
    """The system runs, and the next boot would start it."""
    for link in [profile, "/run/current-system"]:
        assert target_of(link) == toplevel, f"{link} is {target_of(link)}, not {toplevel}"


def points() -> list:
    """The restore points, newest first,"""
    listed = json.loads(machine.succeed("cairn --json list"))["points"]["items"]
    return sorted(listed, key=lambda point: point["id"], reverse=True)


def result_of_switch(toplevel: str) -> dict:
    """What came of the last switch to a system, once nobody watches it any more."""
    newest = f'[.history.items[] | select(.to == "{toplevel}")][0].result'
    return json.loads(
        machine.wait_until_succeeds(f"cairn --json history | jq -ce '{newest} | values'")
    )


def assert_went_back(bad: str, good: str, reason: str) -> None:
    result = result_of_switch(bad)
    assert result["verdict"] == "bad", f"the verdict: {result}"
    assert result["done"] == "went-back", f"what was done: {result}"
    assert any(reason in text for text in result["reasons"]), f"the reasons: {result}"
    assert_runs(good)
