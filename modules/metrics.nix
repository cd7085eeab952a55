# For those who watch the machine: figures in a file by the clock, and a server
# that answers this machine alone.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}@args:

let
  cfg = config.services.cairn;
  parts = import ./parts.nix args;
  inherit (cfg) metrics;
  address =
    if lib.hasInfix ":" metrics.listenAddress then
      "[${metrics.listenAddress}]"
    else
      metrics.listenAddress;
  local = metrics.socket != null;

  textfile = parts.job {
    description = "Write figures about restore points for a node exporter";
    args = [
      "metrics"
      "--textfile"
      "${metrics.textfileDirectory}/cairn.prom"
    ];
    serviceConfig =
      parts.confined [
        cfg.stateDir
        metrics.textfileDirectory
      ]
      // parts.background
      // {
        TimeoutStartSec = "5min";
      };
  };

  server = parts.job {
    description = "Serve figures and a page about restore points";
    args = [
      "serve"
    ]
    ++ (
      if local then
        [
          "--socket"
          metrics.socket
        ]
      else
        [
          "--listen"
          "${address}:${toString metrics.port}"
        ]
    );
    wantedBy = [ "multi-user.target" ];
    after = [ "network.target" ];
    serviceConfig =
      parts.confined [ cfg.stateDir ]
      // {
        Type = "exec";
        Restart = "on-failure";
        RestartSec = "5s";
        RuntimeDirectory = "cairn-serve";
        RuntimeDirectoryMode = "0700";
        MemoryMax = "256M";
        TasksMax = 64;
        LimitNOFILE = 256;
        IPAddressDeny = "any";
        IPAddressAllow = "localhost";
        PrivateNetwork = local;
        RestrictAddressFamilies = [
          "AF_UNIX"
        ]
        ++ lib.optionals (!local) [
          "AF_INET"
          "AF_INET6"
        ];
      };
  };
in
{
  config = lib.mkIf cfg.enable {
    systemd = lib.mkMerge [
      (lib.mkIf (metrics.textfileDirectory != null) {
        services.cairn-metrics = textfile;
        timers.cairn-metrics = {
          description = "Schedule of cairn's figures";
          wantedBy = [ "timers.target" ];
          timerConfig = {
            OnActiveSec = "1min";
            OnUnitInactiveSec = metrics.interval;
          };
        };
      })
      (lib.mkIf metrics.serve {
        # It serves what is installed: a switch restarts it.
        services.cairn-serve = server // {
          restartIfChanged = true;
          unitConfig = removeAttrs server.unitConfig [ "X-StopOnRemoval" ];
        };
      })
    ];
  };
}
