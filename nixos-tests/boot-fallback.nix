# A system that does not come up at all: the boot loader counts, and falls back
# to the one before. cairn notices, says so, and has the profile follow, so that
# neither the next boot nor the next switch meets the bad system again.
{
  name = "cairn-boot-fallback";
  globalTimeout = 1800;

  nodes = {
    broken = {
      imports = [ ./common/loader.nix ];
      services.cairn.bootGate.enable = true;
      # It reboots before there is a root filesystem.
      boot.initrd.systemd.services.broken = {
        requiredBy = [ "initrd.target" ];
        before = [ "initrd.target" ];
        unitConfig = {
          DefaultDependencies = false;
          FailureAction = "reboot-force";
        };
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
        # What is added to the store while it runs does not outlive a reboot.
        system.extraDependencies = [ nodes.broken.system.build.toplevel ];
      };
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./common/switches.py}

      broken = "${nodes.broken.system.build.toplevel}"
      entries = "/boot/loader/entries"


      def entry_of(toplevel: str) -> str:
          return machine.succeed(f"grep -l 'init={toplevel}/init' {entries}/*.conf").strip()


      machine.start(allow_reboot=True)
      machine.wait_for_unit("multi-user.target")
      good = target_of("/run/current-system")

      with subtest("A boot that is well makes a system known-good"):
          machine.wait_until_succeeds(
              f"ls /nix/var/nix/gcroots/cairn/known-good/{good.removeprefix('/nix/store/')}"
          )

      with subtest("Make the bad system the default"):
          assert switch_to(broken, "boot") == 0
          result_of_switch(broken)
          assert target_of(profile) == broken
          assert target_of("/run/current-system") == good
          entry = entry_of(broken)
          if "+" not in entry:
              # NixOS before 26.11 writes no counters; systemd-boot knows them all the same.
              machine.succeed(
                  f"mv {entry} {entry.removesuffix('.conf')}+2.conf",
                  "sed -i 's/^default .*/default nixos-*/' /boot/loader/loader.conf",
                  "sync",
              )

      with subtest("The boot loader falls back"):
          machine.reboot()
          machine.wait_for_unit("multi-user.target")
          assert target_of("/run/booted-system") == good

      with subtest("The profile follows, and it is told"):
          machine.wait_until_succeeds(f"test $(readlink -f {profile}) = {good}")
          result = result_of_switch(broken)
          assert result["verdict"] == "bad", f"{result}"
          assert result["done"] == "repaired", f"{result}"
          machine.succeed("cairn history | grep 'fell back'")

      with subtest("The next boot is of the good system, at once"):
          machine.reboot()
          machine.wait_for_unit("multi-user.target")
          assert_runs(good)
    '';
}
