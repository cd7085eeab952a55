# A switch that makes a unit fail is taken back; one that finds a unit failed
# which it did not break stays.
{
  name = "cairn-rollback-after-failed-unit";
  globalTimeout = 1200;

  nodes = {
    broken = {
      imports = [ ./common/watched.nix ];
      systemd.services.shop = {
        wantedBy = [ "multi-user.target" ];
        serviceConfig.Type = "oneshot";
        script = "exit 1";
      };
    };
    harmless = {
      imports = [ ./common/watched.nix ];
      environment.etc.which-system.text = "harmless";
    };
    machine =
      { nodes, ... }:
      {
        imports = [ ./common/watched.nix ];
        virtualisation.additionalPaths = [
          nodes.broken.system.build.toplevel
          nodes.harmless.system.build.toplevel
        ];
      };
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./common/switches.py}

      broken = "${nodes.broken.system.build.toplevel}"
      harmless = "${nodes.harmless.system.build.toplevel}"

      machine.start()
      machine.wait_for_unit("multi-user.target")
      machine.wait_for_unit("test-machine-setup.service")
      good = target_of("/run/current-system")

      with subtest("The bad switch is taken back"):
          assert switch_to(broken) == 4
          assert_went_back(broken, good, "shop.service failed")
          machine.fail("systemctl cat shop.service")
          machine.fail("systemctl is-failed shop.service")
          assert points()[0]["trigger"] == "pre-restore", "nothing can undo the rollback"

      with subtest("A unit that had failed before is nobody's fault"):
          # It fails again and again, through the switch, which forgets failures.
          # It waits to be started again nearly all of the time.
          machine.succeed(
              "systemd-run --unit=flapping -p Restart=always -p RestartSec=5s"
              " -p StartLimitIntervalSec=0 false"
          )
          machine.wait_until_succeeds("systemctl show -p NRestarts --value flapping | grep -v '^0$'")
          switch_to(harmless)
          result = result_of_switch(harmless)
          assert result["done"] == "nothing", f"{result}"
          assert_runs(harmless)
          machine.succeed("systemctl stop flapping")
    '';
}
