# A restore brings configuration and state back together. The unit that owns the
# state is stopped meanwhile, and runs again afterwards.
{
  name = "cairn-restore-configuration-and-state";
  globalTimeout = 1200;

  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ ./common/node.nix ];
      environment.systemPackages = [ pkgs.sqlite ];
      # It writes to its database all the time.
      systemd.services.shop = {
        wantedBy = [ "multi-user.target" ];
        path = [ pkgs.sqlite ];
        serviceConfig.StateDirectory = "shop shop/cache";
        script = ''
          cd /var/lib/shop
          sqlite3 db "create table if not exists visits (who text)"
          while true; do
            sqlite3 -cmd ".timeout 5000" db "insert into visits values ('somebody')"
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


    def ask(sql: str) -> str:
        return machine.succeed(f"sqlite3 -cmd '.timeout 5000' {database} \"{sql}\"").strip()


    def visits_of(who: str) -> int:
        return int(ask(f"select count(*) from visits where who = '{who}'"))


    machine.wait_for_unit("multi-user.target")
    machine.wait_for_unit("test-machine-setup.service")
    machine.wait_for_unit("shop.service")
    machine.wait_until_succeeds(f"sqlite3 {database} 'select * from visits' | grep somebody")
    configuration = machine.succeed("cat /etc/nixos/configuration.nix")
    ask("insert into visits values ('alice')")
    machine.succeed(f"chmod 0640 {database}", "echo before > /var/lib/shop/cache/page")

    with subtest("The point holds both, and the unit runs again"):
        began = machine.succeed("systemctl show -p InvocationID --value shop.service")
        machine.succeed("cairn create")
        machine.wait_for_unit("shop.service")
        then = machine.succeed("systemctl show -p InvocationID --value shop.service")
        assert then != began, "the unit was not stopped for the capture"

    with subtest("Break both"):
        ask("delete from visits where who = 'alice'")
        machine.succeed(
            "echo broken > /etc/nixos/configuration.nix",
            f"chmod 0666 {database}",
            "touch /var/lib/shop/stray",
            "echo after > /var/lib/shop/cache/page",
        )

    with subtest("Restore them"):
        machine.succeed("cairn restore latest --yes")
        assert machine.succeed("cat /etc/nixos/configuration.nix") == configuration
        machine.wait_for_unit("shop.service")
        assert visits_of("alice") == 1, "what the point held is not back"
        assert ask("pragma integrity_check") == "ok"
        mode = machine.succeed(f"stat -c %a {database}").strip()
        assert mode == "640", f"the database has mode {mode}"
        machine.fail("test -e /var/lib/shop/stray")

    with subtest("What a set leaves out is left alone"):
        assert machine.succeed("cat /var/lib/shop/cache/page").strip() == "after"

    with subtest("Undo it"):
        machine.succeed("cairn undo --yes")
        machine.succeed("grep -q broken /etc/nixos/configuration.nix", "test -e /var/lib/shop/stray")
        machine.wait_for_unit("shop.service")
        assert visits_of("alice") == 0, "the undo did not bring back what was there"
  '';
}
