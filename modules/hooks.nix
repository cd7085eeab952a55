# Around a switch: the point before it, the watcher, and the gap when neither
# was asked.
#
# The check before a switch is the one hook that NixOS runs for every tool. It
# takes the point and starts the watcher, a transient unit: the switch leaves
# such units alone. A switch that skips its checks goes unseen by both, so a
# path unit looks after each switch whether it was seen.
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
  inherit (parts) preSwitch gate;

  timeout = lib.getExe' pkgs.coreutils "timeout";
  policy = config.environment.etc."cairn/policy.json".source;

  # Whoever switches may have any PATH, and the watcher inherits this one.
  path = lib.makeBinPath (
    parts.programs
    ++ [
      config.systemd.package
      pkgs.coreutils
    ]
  );

  otherwise =
    if preSwitch.required then
      ''
        {
          echo "cairn: no restore point could be taken (exit code $?), and services.cairn.preSwitch.required is set: the switch is refused, and the running system is untouched. NIXOS_NO_CHECK=1 switches without a point." >&2
          exit 1
        }''
    else
      ''echo "cairn: no restore point could be taken (exit code $?); the switch goes on without one." >&2'';
in
{
  config = lib.mkIf (cfg.enable && (preSwitch.enable || gate.enable)) {
    # Installers and image builders run the checks where nothing runs yet; what
    # they activate has a current system, but no systemd that runs it.
    system.preSwitchChecks.cairn = ''
      case "''${2-}" in
      switch | test | boot)
        if [ -e /run/current-system ] && [ -d /run/systemd/system ]; then
          PATH=${path} ${timeout} --kill-after=5 ${toString parts.hookSeconds} \
            ${lib.getExe cfg.package} --policy ${policy} hook pre-switch "$1" "$2" ||
            ${lib.replaceStrings [ "\n" ] [ "\n      " ] otherwise}
        fi
        ;;
      esac
    '';

    systemd = {
      # Stops with the module, unlike what it starts: else the switch that
      # turns the module off would leave it watching.
      paths.cairn-switched = {
        description = "Watch for a switch of the system";
        wantedBy = [ "paths.target" ];
        # Every switch opens it for writing, and closes it at its end.
        pathConfig.PathChanged = "/run/nixos/switch-to-configuration.lock";
      };

      services.cairn-switched = parts.job {
        description = "Record a switch that took no restore point";
        args = [
          "hook"
          "switched"
        ];
        # Many switches in a row are no reason to stop looking.
        unitConfig.StartLimitIntervalSec = 0;
        # It waits for the switch to end, however long that takes.
        serviceConfig = parts.open // {
          TimeoutStartSec = "infinity";
        };
      };
    };
  };
}
