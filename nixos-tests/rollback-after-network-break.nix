# A switch after which all units are well and the network is gone is taken back:
# a health check says so.
{
  name = "cairn-rollback-after-network-break";
  globalTimeout = 1200;

  nodes =
    let
      networked =
        {
          lib,
          nodes,
          pkgs,
          ...
        }:
        {
          imports = [ ./common/watched.nix ];
          virtualisation.vlans = lib.mkForce [ 1 ];
          services.cairn.health.checks.network = {
            command = [
              (lib.getExe' pkgs.iputils "ping")
              "-c1"
              "-W2"
              nodes.outside.networking.primaryIPAddress
            ];
            timeout = "5s";
          };
        };
    in
    {
      outside.virtualisation.vlans = [ 1 ];
      broken =
        { nodes, pkgs, ... }:
        {
          imports = [ networked ];
          systemd.services.cut-off = {
            wantedBy = [ "multi-user.target" ];
            path = [ pkgs.iproute2 ];
            serviceConfig = {
              Type = "oneshot";
              RemainAfterExit = true;
            };
            script = "ip route add blackhole ${nodes.outside.networking.primaryIPAddress}/32";
            preStop = "ip route del blackhole ${nodes.outside.networking.primaryIPAddress}/32";
          };
        };
      machine =
        { nodes, ... }:
        {
          imports = [ networked ];
          virtualisation.additionalPaths = [ nodes.broken.system.build.toplevel ];
        };
    };

  testScript =
    { nodes, ... }:
    ''
      ${builtins.readFile ./common/switches.py}

      broken = "${nodes.broken.system.build.toplevel}"
      ping = "ping -c1 -W2 ${nodes.outside.networking.primaryIPAddress}"

      machine.start()
      outside.start()
      outside.wait_for_unit("multi-user.target")
      machine.wait_for_unit("multi-user.target")
      machine.wait_for_unit("test-machine-setup.service")
      machine.wait_until_succeeds(ping)
      good = target_of("/run/current-system")

      assert switch_to(broken) == 0, "the switch itself sees nothing wrong"
      machine.fail(ping)
      assert_went_back(broken, good, "network")
      machine.wait_until_succeeds(ping)
    '';
}
