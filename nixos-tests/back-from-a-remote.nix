# A machine sends its points to a REST server by the clock. Another one comes back
# from there with nothing but the address and the password.
let
  password = "/etc/backup-password";
  member =
    { lib, ... }:
    {
      imports = [ ./common/node.nix ];
      virtualisation.vlans = lib.mkForce [ 1 ];
      environment.etc."backup-password" = {
        text = "one password";
        mode = "0600";
      };
    };
in
{
  name = "cairn-back-from-a-remote";
  globalTimeout = 1200;

  nodes = {
    server = {
      virtualisation.vlans = [ 1 ];
      networking.firewall.allowedTCPPorts = [ 8000 ];
      services.restic.server = {
        enable = true;
        listenAddress = "8000";
        appendOnly = true;
        extraFlags = [ "--no-auth" ];
      };
    };

    old =
      { pkgs, ... }:
      {
        imports = [ member ];
        environment.systemPackages = [ pkgs.restic ];
        services.cairn = {
          state.notes.paths = [ "/var/lib/notes" ];
          remotes.office = {
            url = "rest:http://server:8000/machines/";
            passwordFile = password;
            schedule = "hourly";
            maxAge = "2d";
          };
        };
      };

    new.imports = [ member ];
  };

  testScript = ''
    import json

    key = "--url rest:http://server:8000/machines/ --password-file ${password}"

    start_all()
    server.wait_for_open_port(8000)
    for machine in (old, new):
        machine.wait_for_unit("multi-user.target")
        machine.wait_for_unit("test-machine-setup.service")

    with subtest("The repository is made, and a point is sent by the unit"):
        old.succeed("mkdir -p /var/lib/notes", "echo kept > /var/lib/notes/note")
        old.succeed("echo '{ }' > /etc/nixos/hardware-configuration.nix")
        old.succeed(
            "cairn remote add office rest:http://server:8000/machines/ --new --password-file ${password}"
        )
        old.succeed("cairn create -r 'to be sent'")
        old.succeed("systemctl start cairn-push-office.service")
        old.succeed("systemctl start cairn-check-office.service")
        old.succeed("systemctl is-active cairn-push-office.timer")
        health = json.loads(old.succeed("cairn health --json || true"))
        assert "copies-old" not in json.dumps(health), health

    with subtest("Its repository is an ordinary one"):
        old.succeed(
            "restic -r rest:http://server:8000/machines/ --no-cache --no-lock "
            "--password-file ${password} check --read-data"
        )

    with subtest("Another machine comes back from there alone"):
        new.succeed("echo '{ ours = true; }' > /etc/nixos/hardware-configuration.nix")
        configuration = old.succeed("cat /etc/nixos/configuration.nix")
        new.succeed("echo other > /etc/nixos/configuration.nix")
        listed = json.loads(new.succeed(f"cairn remote list {key} --all-hosts --json"))
        assert listed["points"]["hosts"] == {"old": 1}, listed
        new.succeed(f"cairn restore --host old {key} --only config --yes")
        new.succeed("cairn restore latest --only state --yes")
        assert new.succeed("cat /etc/nixos/configuration.nix") == configuration
        assert new.succeed("cat /var/lib/notes/note").strip() == "kept"
        new.succeed("grep -q ours /etc/nixos/hardware-configuration.nix")

    with subtest("A server that takes no deletions loses nothing"):
        old.succeed("cairn create -r newer", "systemctl start cairn-push-office.service")
        old.fail("cairn remote prune office --yes --keep-last 1")
        listed = json.loads(new.succeed(f"cairn remote list {key} --all-hosts --json"))
        assert listed["points"]["hosts"] == {"old": 2}, listed
        new.succeed(f"cairn remote check {key} --read-data")

    with subtest("A server that is gone is told"):
        server.shutdown()
        old.fail("systemctl start cairn-push-office.service")
        old.succeed("cairn remote list | grep -q office")
  '';
}
