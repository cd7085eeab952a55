# Turning the module off leaves nothing running, waiting or failed, and keeps
# the restore points.
{
  name = "cairn-module-off";
  globalTimeout = 1200;

  nodes = {
    off =
      { lib, ... }:
      {
        imports = [ ./common/watched.nix ];
        services.cairn.enable = lib.mkForce false;
      };
    machine =
      { nodes, ... }:
      {
        imports = [ ./common/watched.nix ];
        services.cairn = {
          points = {
            daily = { };
            boot.trigger = "boot";
          };
          retention.schedule = "daily";
          verify.schedule = "weekly";
        };
        virtualisation.additionalPaths = [ nodes.off.system.build.toplevel ];
      };
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./common/switches.py}

      off = "${nodes.off.system.build.toplevel}"

      machine.start()
      machine.wait_for_unit("multi-user.target")
      machine.wait_for_unit("test-machine-setup.service")
      machine.wait_for_unit("cairn-switched.path")
      machine.wait_for_unit("cairn-point-daily.timer")

      with subtest("While it is on, a point is taken at boot"):
          machine.wait_until_succeeds("cairn list | grep boot")
          machine.succeed("cairn create")
          documents = machine.succeed("ls /var/lib/cairn/points/*.json")

      with subtest("Turn it off"):
          assert switch_to(off) == 0
          machine.fail("command -v cairn")
          machine.fail("test -e /etc/cairn")
          left = machine.succeed("systemctl list-units --all --no-legend 'cairn*'").strip()
          assert left == "", f"units left:\n{left}"
          left = machine.succeed("systemctl list-unit-files --no-legend 'cairn*'").strip()
          assert left == "", f"unit files left:\n{left}"
          machine.fail("pgrep -x cairn")

      with subtest("The restore points are kept, and from then on none is taken"):
          assert machine.succeed("ls /var/lib/cairn/points/*.json") == documents
          machine.succeed(f"{off}/bin/switch-to-configuration switch")
          assert machine.succeed("ls /var/lib/cairn/points/*.json") == documents
    '';
}
