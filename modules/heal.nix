# Healing by the clock: a service, and a timer that counts from its last end.
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
  heal = cfg.settings.heal;
in
{
  config = lib.mkIf (cfg.enable && heal.enable) {
    systemd = {
      services.cairn-heal = parts.job {
        description = "Find what is wrong with the machine, and heal it";
        args = [
          "heal"
          "--yes"
        ];
        # However often: its own book has the caps.
        unitConfig.StartLimitIntervalSec = 0;
        serviceConfig =
          parts.open
          // parts.background
          // {
            # It cleans the machine's temporary files, not some of its own.
            PrivateTmp = false;
            # Collecting garbage takes its time, and so does a switch.
            TimeoutStartSec = "2h";
            # Another run is healing, issues are left, a restore waits for
            # somebody to end it: none of them is a failure of this unit.
            SuccessExitStatus = [
              11
              20
              22
            ];
          };
      };

      timers.cairn-heal = {
        description = "Schedule of cairn's healing";
        wantedBy = [ "timers.target" ];
        timerConfig = {
          OnActiveSec = heal.interval;
          OnUnitInactiveSec = heal.interval;
          AccuracySec = "1s";
        };
      };
    };
  };
}
