# The machine loses its power in the middle of a restore. Nothing is lost:
# afterwards it says that a restore is unfinished, and finishes it when told to.
{
  name = "cairn-interrupted-restore-resumes";
  globalTimeout = 1200;

  nodes = {
    # It starts a unit that never gets ready, as long as /run/hang is there: time
    # to pull the plug in. A crash removes that file.
    target = {
      imports = [ ./common/node.nix ];
      environment.etc.which-system.text = "target";
      systemd.services.slow = {
        wantedBy = [ "multi-user.target" ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          TimeoutStartSec = "infinity";
        };
        script = "while test -e /run/hang; do sleep 1; done";
      };
    };
    machine =
      { nodes, ... }:
      {
        imports = [ ./common/node.nix ];
        environment.etc.which-system.text = "machine";
        virtualisation.additionalPaths = [ nodes.target.system.build.toplevel ];
      };
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./common/switches.py}

      target = "${nodes.target.system.build.toplevel}"

      machine.start()
      machine.wait_for_unit("multi-user.target")
      machine.wait_for_unit("test-machine-setup.service")
      original = target_of("/run/current-system")

      with subtest("A point of the other system, and back"):
          assert switch_to(target) == 0
          before = machine.succeed("cat /etc/nixos/configuration.nix")
          machine.succeed("cairn create")
          point = points()[0]["id"]
          assert switch_to(original) == 0
          machine.succeed("echo '{ broken' > /etc/nixos/configuration.nix")

      with subtest("Pull the plug while the restore switches"):
          machine.succeed("sync", "touch /run/hang")
          machine.succeed(f"systemd-run --unit=restore cairn restore {point} --yes")
          machine.wait_until_succeeds(
              "systemctl show -p ActiveState --value slow.service | grep -qx activating"
          )
          machine.crash()

      with subtest("It knows that a restore is unfinished"):
          machine.start()
          machine.wait_for_unit("multi-user.target")
          code, text = machine.execute("cairn status")
          assert code == 22, f"status ended with {code}: {text}"
          code, text = machine.execute("cairn restore latest --yes 2>&1")
          assert code == 22, f"another restore beside it: {code}: {text}"

      with subtest("It goes on where it was"):
          machine.succeed("cairn resume --yes")
          machine.succeed("cairn status")
          assert_runs(target)
          machine.wait_for_unit("slow.service")
          now = machine.succeed("cat /etc/nixos/configuration.nix")
          assert now == before, now
          assert machine.succeed("cat /etc/which-system").strip() == "target"

      with subtest("And can be undone"):
          machine.succeed("cairn undo --yes")
          assert_runs(original)
          machine.succeed("grep -q broken /etc/nixos/configuration.nix")
    '';
}
