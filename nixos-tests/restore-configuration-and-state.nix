# A restore brings configuration and state back together, with the unit that
# owns the state stopped meanwhile.
{
  name = "cairn-restore-configuration-and-state";
  globalTimeout = 1200;

  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ ./common/node.nix ];
      environment.systemPackages = [ pkgs.sqlite ];
      # It has its database open all the time, and writes to it.
      systemd.services.shop = {
        wantedBy = [ "multi-user.target" ];
        path = [ pkgs.sqlite ];
        serviceConfig.StateDirectory = "shop";
        script = ''
          sqlite3 /var/lib/shop/db "create table if not exists visits (at)"
          while true; do
            sqlite3 /var/lib/shop/db "insert into visits values (unixepoch())"
            date > /var/lib/shop/cache
            sleep 0.2
          done
        '';
      };
      services.cairn.state.shop = {
        paths = [ "/var/lib/shop" ];
        exclude = [ "/var/lib/shop/cache" ];
        units = [ "shop.service" ];
      };
    };

  testScript = ''
    database = "/var/lib/shop/db"


    def visits() -> int:
        return int(machine.succeed(f"sqlite3 -cmd '.timeout 5000' {database} 'select count(*) from visits'"))


    machine.wait_for_unit("multi-user.target")
    machine.wait_for_unit("test-machine-setup.service")
    machine.wait_for_unit("shop.service")
    machine.wait_until_succeeds(f"test -e {database} && test -e /var/lib/shop/cache")
    configuration = machine.succeed("cat /etc/nixos/configuration.nix")
    machine.succeed("chmod 0640 /var/lib/shop/db")

    with subtest("The point holds both"):
        least = visits()
        machine.succeed("cairn create")
        machine.wait_for_unit("shop.service")
        most = visits()

    with subtest("Break both"):
        machine.succeed(
            "echo broken > /etc/nixos/configuration.nix",
            "systemctl stop shop.service",
            f"echo 'not a database' > {database}",
            f"chmod 0666 {database}",
            "touch /var/lib/shop/stray",
            "echo kept > /var/lib/shop/cache",
            "systemctl start --no-block shop.service",
        )

    with subtest("Restore it"):
        machine.succeed("cairn restore latest --yes")
        assert machine.succeed("cat /etc/nixos/configuration.nix") == configuration
        machine.succeed("systemctl stop shop.service")
        assert machine.succeed(f"sqlite3 {database} 'pragma integrity_check'").strip() == "ok"
        assert least <= visits(), f"{visits()} visits, and {least} at the point"
        mode = machine.succeed(f"stat -c %a {database}").strip()
        assert mode == "640", f"the database has mode {mode}"
        machine.fail("test -e /var/lib/shop/stray")
        # What a set leaves out is left alone.
        machine.succeed("test -e /var/lib/shop/cache")

    with subtest("Undo it"):
        machine.succeed("cairn undo --yes")
        machine.succeed("grep -q broken /etc/nixos/configuration.nix")
        machine.succeed(f"grep -q 'not a database' {database}")
        machine.succeed("test -e /var/lib/shop/stray")
  '';
}
