# A service that is down is found by the clock and restarted, with nobody logged
# in; a restore point was taken before, and the system is known-good after.
{
  name = "cairn-heal-by-the-clock";
  globalTimeout = 900;

  nodes.machine = {
    imports = [ ./common/node.nix ];
    services.cairn.heal = {
      enable = true;
      interval = "5s";
      settle = "2s";
    };
    # A virtual machine has no way out, and may be as busy as it likes.
    services.cairn.health.disabled = [
      "route"
      "time"
      "cpu"
      "load"
      "memory"
    ];
    systemd.services.shop = {
      wantedBy = [ "multi-user.target" ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
      };
      script = "test ! -e /run/broken";
    };
    systemd.services.cairn-heal.after = [ "test-machine-setup.service" ];
  };

  testScript = ''
    machine.wait_for_unit("multi-user.target")
    machine.wait_for_unit("test-machine-setup.service")
    machine.wait_for_unit("cairn-heal.timer")

    with subtest("A service that is down is restarted"):
        machine.succeed("touch /run/broken")
        machine.fail("systemctl restart shop.service")
        machine.succeed("rm /run/broken")
        # A run may have begun while it could not be healed: its cool-down is over
        # for who asks by name.
        machine.wait_until_succeeds(
            "systemctl is-active shop.service || cairn heal --yes --issue service-down:shop.service"
        )
        machine.succeed("systemctl is-active shop.service")

    with subtest("It is written down, and undone by nobody"):
        history = machine.succeed("cairn --json history --kind heal")
        assert "restart-unit" in history and "recovered" in history, history
        machine.succeed("cairn list | grep pre-heal")
        machine.succeed("ls /nix/var/nix/gcroots/cairn/known-good/*")

    with subtest("The unit that heals ends well"):
        machine.wait_until_succeeds(
            "systemctl show --value -p ActiveState cairn-heal.service | grep -qx inactive"
        )
        result = machine.succeed("systemctl show --value -p Result cairn-heal.service").strip()
        assert result == "success", f"the unit ended with {result}"
  '';
}
