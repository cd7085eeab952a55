# The system of a point can be restored after its generation was deleted and
# the store was collected.
{
  name = "cairn-restore-after-gc";
  globalTimeout = 1200;

  # Only `machine` is started. The others lend it their systems: one that a
  # point will hold, and one that nothing holds, to see that the collector ran.
  nodes = {
    pinned = {
      imports = [ ./common/node.nix ];
      environment.etc.which-system.text = "pinned";
    };
    unpinned = {
      imports = [ ./common/node.nix ];
      environment.etc.which-system.text = "unpinned";
    };
    machine =
      { nodes, ... }:
      {
        imports = [ ./common/node.nix ];
        environment.etc.which-system.text = "machine";
        virtualisation.additionalPaths = [
          nodes.pinned.system.build.toplevel
          nodes.unpinned.system.build.toplevel
        ];
      };
  };

  testScript =
    { nodes, ... }:
    ''
      pinned = "${nodes.pinned.system.build.toplevel}"
      unpinned = "${nodes.unpinned.system.build.toplevel}"
      profile = "/nix/var/nix/profiles/system"


      def switch_to(toplevel):
          machine.succeed(
              f"nix-env -p {profile} --set {toplevel}",
              f"{toplevel}/bin/switch-to-configuration switch",
          )


      def assert_runs(toplevel):
          for link in [profile, "/run/current-system"]:
              target = machine.succeed(f"readlink -f {link}").strip()
              assert target == toplevel, f"{link} is {target}, not {toplevel}"


      machine.start()
      machine.wait_for_unit("multi-user.target")
      original = machine.succeed("readlink -f /run/current-system").strip()

      with subtest("Take a point while the other system runs"):
          switch_to(pinned)
          assert_runs(pinned)
          machine.succeed("cairn create")
          generation = machine.succeed(f"readlink {profile} | cut -d- -f2").strip()

      with subtest("Go back, delete that generation, collect"):
          switch_to(original)
          assert_runs(original)
          machine.succeed(f"nix-env -p {profile} --delete-generations {generation}")
          machine.succeed("nix-collect-garbage")
          machine.fail(f"test -e {profile}-{generation}-link")
          machine.fail(f"test -e {unpinned}/init")
          machine.succeed(f"test -e {pinned}/init")

      with subtest("Restore it"):
          machine.succeed("cairn restore latest --only generation --yes")
          assert_runs(pinned)
          which = machine.succeed("cat /etc/which-system").strip()
          assert which == "pinned", f"/etc is of the system {which}"
    '';
}
