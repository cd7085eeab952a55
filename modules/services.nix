# The command, its directories, and the units: a timer and a oneshot service
# for each scheduled point, and a pair for pruning.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:

let
  cfg = config.services.cairn;
  names = import ./names.nix { inherit lib; };

  # GC roots of pinned points. Not a setting: the collector looks nowhere else.
  pinDir = "/nix/var/nix/gcroots/cairn";
  profileDir = "/nix/var/nix/profiles";

  # A badly named point gets no unit, so that its assertion is what the user
  # reads, not an error about a unit's name.
  points = lib.filterAttrs (name: _: names.isValid name) cfg.points;
  pointUnit = name: "cairn-point-${name}";

  # Reads everything, writes what `writable` names, talks to nobody but the
  # machine's own sockets (the Nix daemon, D-Bus).
  confined = writable: {
    ReadWritePaths = writable;
    ProtectSystem = "strict";
    ProtectHome = "read-only";
    PrivateTmp = true;
    PrivateDevices = true;
    PrivateNetwork = true;
    RestrictAddressFamilies = [ "AF_UNIX" ];
    # To read files that belong to others, whatever their mode.
    CapabilityBoundingSet = [
      "CAP_DAC_OVERRIDE"
      "CAP_DAC_READ_SEARCH"
    ];
    NoNewPrivileges = true;
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    SystemCallArchitectures = "native";
    SystemCallFilter = [ "@system-service" ];
    SystemCallErrorNumber = "EPERM";
    UMask = "0077";
  };

  # `cairn ARGS` once, in the background's share of the machine. A switch
  # neither restarts such a job nor cuts it off.
  job =
    {
      description,
      args,
      writable,
      after ? [ ],
    }:
    {
      inherit description after;
      documentation = [ "man:cairn(1)" ];
      path = [
        config.nix.package
        pkgs.gitMinimal
      ];
      # Through the daemon, Nix needs to write nothing but the root itself.
      environment.NIX_REMOTE = "daemon";
      restartIfChanged = false;
      unitConfig = {
        RequiresMountsFor = [ cfg.stateDir ];
        X-StopOnRemoval = false;
      };
      serviceConfig = confined writable // {
        Type = "oneshot";
        ExecStart = utils.escapeSystemdExecArgs (
          [
            (lib.getExe cfg.package)
            "--state-dir"
            cfg.stateDir
          ]
          ++ args
        );
        TimeoutStartSec = "1h";
        Nice = 10;
        IOSchedulingClass = "best-effort";
        IOSchedulingPriority = 7;
      };
    };

  timer = description: schedule: delay: {
    inherit description;
    wantedBy = [ "timers.target" ];
    timerConfig = {
      OnCalendar = schedule;
      Persistent = true;
      RandomizedDelaySec = delay;
    };
  };

  pointService =
    name: point:
    lib.nameValuePair (pointUnit name) (job {
      description = "Take the restore point ${name}";
      args = [
        "create"
        "--trigger"
        "schedule:${name}"
      ]
      ++ lib.optionals (point.reason != null) [
        "--reason"
        point.reason
      ];
      writable = [
        cfg.stateDir
        pinDir
      ];
    });

  pointTimer =
    name: point:
    lib.nameValuePair (pointUnit name) (
      timer "Schedule of the restore point ${name}" point.schedule point.randomizedDelay
    );

  pruneService = job {
    description = "Delete restore points and generations that no rule keeps";
    # A point that is due at the same moment is taken first.
    after = lib.mapAttrsToList (name: _: "${pointUnit name}.service") points;
    args = [
      "prune"
      "--yes"
    ];
    writable = [
      cfg.stateDir
      pinDir
      profileDir
    ];
  };
in
{
  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];

    systemd = {
      tmpfiles.settings."10-cairn" = {
        ${cfg.stateDir}.d = {
          mode = "0700";
          user = "root";
          group = "root";
        };
        ${pinDir}.d = {
          mode = "0755";
          user = "root";
          group = "root";
        };
      };

      services = lib.mkMerge [
        (lib.mapAttrs' pointService points)
        (lib.mkIf (cfg.retention.schedule != null) { cairn-prune = pruneService; })
      ];

      timers = lib.mkMerge [
        (lib.mapAttrs' pointTimer points)
        (lib.mkIf (cfg.retention.schedule != null) {
          cairn-prune = timer "Schedule of cairn's pruning" cfg.retention.schedule "30m";
        })
      ];
    };
  };
}
