# Importing the module is enough: every switch takes a restore point of what
# there was before, one for each change, and its outcome is written down.
{
  name = "cairn-snapshot-on-switch";
  globalTimeout = 1200;

  # Only `machine` is started; `other` lends it its system.
  nodes = {
    other = {
      imports = [ ./common/watched.nix ];
      environment.etc.which-system.text = "other";
    };
    machine =
      { nodes, ... }:
      {
        imports = [ ./common/watched.nix ];
        environment.etc.which-system.text = "machine";
        virtualisation.additionalPaths = [ nodes.other.system.build.toplevel ];
      };
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./common/switches.py}

      other = "${nodes.other.system.build.toplevel}"

      machine.start()
      machine.wait_for_unit("multi-user.target")
      machine.wait_for_unit("test-machine-setup.service")
      original = target_of("/run/current-system")
      before = machine.succeed("cat /etc/nixos/configuration.nix")

      with subtest("What changes nothing takes no point"):
          assert switch_to(other, "dry-activate") == 0
          assert points() == [], f"{points()}"
          assert target_of("/run/current-system") == original

      with subtest("A test and then a boot of one system take one point"):
          assert switch_to(other, "test") == 0
          assert target_of("/run/current-system") == other
          assert target_of(profile) == original
          assert switch_to(other, "boot") == 0
          assert_runs(other)
          taken = points()
          assert len(taken) == 1, f"{taken}"

      with subtest("It holds what there was before"):
          point = taken[0]
          system = point["system"]
          assert point["trigger"] == "pre-switch", f"{point}"
          assert point["completeness"]["status"] == "complete", f"{point}"
          assert system["current"] == original, f"{system}"
          assert system["profile"]["toplevel"] == original, f"{system}"
          assert system["incoming"] == {"toplevel": other, "action": "test"}, f"{system}"
          captured = machine.succeed("cairn show latest --cat /etc/nixos/configuration.nix")
          assert captured == before, captured

      with subtest("The switch was good, and the system is known-good"):
          result = result_of_switch(other)
          machine.wait_until_succeeds("! systemctl list-units --all 'cairn-gate-*' | grep -q cairn-gate")
          listed = json.loads(machine.succeed("cairn --json history"))["history"]["items"]
          assert [entry["action"] for entry in listed] == ["boot", "test"], f"{listed}"
          assert listed[1]["result"]["verdict"] == "good", f"{listed}"
          assert listed[0]["point"] == listed[1]["point"] == point["id"], f"{listed}"
          assert result["reached"] == "switched", f"{result}"
          machine.succeed(f"ls /nix/var/nix/gcroots/cairn/known-good/{other.removeprefix('/nix/store/')}")

      with subtest("The next change takes the next point"):
          assert switch_to(original) == 0
          assert len(points()) == 2, f"{points()}"
          assert points()[0]["system"]["current"] == other

      with subtest("A switch that skips its checks takes none, and is told"):
          result_of_switch(original)
          machine.succeed(f"nix-env -p {profile} --set {other}")
          machine.succeed(f"NIXOS_NO_CHECK=1 {other}/bin/switch-to-configuration switch")
          assert len(points()) == 2, f"{points()}"
          machine.wait_until_succeeds(
              "cairn --json history | jq -e '.history.items[0] | .action == \"unknown\" and .point == null'"
          )
          machine.succeed("cairn history | grep unknown")

      with subtest("Going back to the point brings its system back"):
          machine.succeed(f"cairn restore {point['id']} --yes")
          assert_runs(original)
    '';
}
