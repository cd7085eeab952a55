# A switch after which a service crashes, when the switch has long ended well,
# is taken back.
{
  name = "cairn-rollback-after-late-crash";
  globalTimeout = 1200;

  nodes = {
    broken = {
      imports = [ ./common/watched.nix ];
      systemd.services.shop = {
        wantedBy = [ "multi-user.target" ];
        script = "sleep 4; exit 1";
      };
    };
    machine =
      { nodes, ... }:
      {
        imports = [ ./common/watched.nix ];
        virtualisation.additionalPaths = [ nodes.broken.system.build.toplevel ];
      };
  };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./common/switches.py}

      broken = "${nodes.broken.system.build.toplevel}"

      machine.start()
      machine.wait_for_unit("multi-user.target")
      machine.wait_for_unit("test-machine-setup.service")
      good = target_of("/run/current-system")

      assert switch_to(broken) == 0, "the switch itself sees nothing wrong"
      assert_went_back(broken, good, "shop.service failed")
      machine.fail("systemctl cat shop.service")
    '';
}
