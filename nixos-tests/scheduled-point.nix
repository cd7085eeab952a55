# A point that is declared with a schedule is taken when its time comes, by the
# confined unit, with nobody logged in.
{
  name = "cairn-scheduled-point";
  globalTimeout = 900;

  nodes.machine = {
    imports = [ ./common/node.nix ];
    services.cairn.points.tick = {
      schedule = "*:*:0/20";
      reason = "the clock says so";
      randomizedDelay = "0";
    };
    # A timer may fire up to a minute late to save power. Not here.
    systemd.timers.cairn-point-tick.timerConfig.AccuracySec = "1s";
    # The first tick may come before there is a configuration to capture.
    systemd.services.cairn-point-tick.after = [ "test-machine-setup.service" ];
  };

  testScript = ''
    machine.wait_for_unit("multi-user.target")
    machine.wait_for_unit("cairn-point-tick.timer")

    documents = "/var/lib/cairn/points/*.json"
    machine.wait_until_succeeds(f"ls {documents}")
    machine.succeed("systemctl stop cairn-point-tick.timer")
    machine.wait_until_succeeds(
        "systemctl show --value -p ActiveState cairn-point-tick.service | grep -qx -e inactive -e failed"
    )

    with subtest("The unit that took it ended well"):
        result = machine.succeed("systemctl show --value -p Result cairn-point-tick.service").strip()
        assert result == "success", f"the unit ended with {result}"

    with subtest("The point says what triggered it, and why"):
        triggers = machine.succeed(f"jq -r .trigger {documents}").split()
        assert set(triggers) == {"schedule:tick"}, f"triggers: {triggers}"
        machine.succeed(f"grep -l 'the clock says so' {documents}")

    with subtest("The point is pinned, and kept from other users"):
        machine.succeed("ls /nix/var/nix/gcroots/cairn/*")
        mode = machine.succeed("stat -c %a /var/lib/cairn").strip()
        assert mode == "700", f"the state directory has mode {mode}"

    with subtest("The command lists it"):
        machine.succeed("cairn list | grep schedule:tick")
  '';
}
