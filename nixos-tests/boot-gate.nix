# A system that comes up and is not well: after as many boots as the policy has,
# the known-good system takes its place.
{
  name = "cairn-boot-gate";
  globalTimeout = 1800;

  nodes = {
    sick = {
      imports = [ ./common/loader.nix ];
      services.cairn.bootGate.enable = true;
      services.cairn.bootGate.attempts = 2;
      systemd.services.shop = {
        wantedBy = [ "multi-user.target" ];
        serviceConfig.Type = "oneshot";
        script = "exit 1";
      };
    };
    machine =
      { nodes, ... }:
      {
        imports = [ ./common/loader.nix ];
        services.cairn.bootGate.enable = true;
        services.cairn.bootGate.attempts = 2;
        system.extraDependencies = [ nodes.sick.system.build.toplevel ];
      };
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./common/switches.py}

      sick = "${nodes.sick.system.build.toplevel}"

      machine.start(allow_reboot=True)
      machine.wait_for_unit("multi-user.target")
      good = target_of("/run/current-system")
      machine.wait_until_succeeds(
          f"ls /nix/var/nix/gcroots/cairn/known-good/{good.removeprefix('/nix/store/')}"
      )
      assert switch_to(sick, "boot") == 0
      result_of_switch(sick)

      with subtest("The first bad boot is only told"):
          machine.reboot()
          machine.wait_for_unit("multi-user.target")
          machine.wait_until_succeeds("systemctl is-failed cairn-boot.service")
          machine.succeed("journalctl -b -u cairn-boot.service | grep 'shop.service failed'")
          assert_runs(sick)

      with subtest("After the second the known-good system runs"):
          machine.reboot()
          machine.wait_for_unit("multi-user.target")
          machine.wait_until_succeeds(f"test $(readlink -f /run/current-system) = {good}")
          machine.wait_until_succeeds(f"test $(readlink -f {profile}) = {good}")
          machine.wait_until_fails("systemctl cat shop.service")

      with subtest("And boots"):
          machine.reboot()
          machine.wait_for_unit("multi-user.target")
          assert target_of("/run/booted-system") == good
          assert_runs(good)
    '';
}
