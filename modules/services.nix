# The command, its directory, and what runs by the clock: a timer and a oneshot
# service for each scheduled point, for pruning and for verifying.
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
  inherit (parts)
    background
    confined
    job
    points
    pointUnit
    ;

  timer = description: schedule: delay: {
    inherit description;
    wantedBy = [ "timers.target" ];
    timerConfig = {
      OnCalendar = schedule;
      Persistent = true;
      RandomizedDelaySec = delay;
    };
  };

  # Commands may need anything, and a snapshot needs rights over the filesystem.
  needsMore =
    set:
    lib.any (name: (set.${name} or null) != null) [
      "before"
      "after"
      "version"
    ]
    || (parts.snapshotTools != [ ] && (set.snapshot or "auto") != "never");

  pointService =
    name: point:
    let
      sets = lib.attrValues (parts.setsOf point);
      writable = [
        cfg.stateDir
        parts.pinDir
      ];
    in
    lib.nameValuePair (pointUnit name) (job {
      description = "Take the restore point ${name}";
      args = [
        "create"
        "--trigger"
        "schedule:${name}"
      ]
      ++ lib.optionals ((point.reason or null) != null) [
        "--reason"
        point.reason
      ];
      mounts = lib.concatMap (set: set.paths or [ ]) sets;
      serviceConfig = (if lib.any needsMore sets then parts.open else confined writable) // background;
    });

  pointTimer =
    name: point:
    lib.nameValuePair (pointUnit name) (
      timer "Schedule of the restore point ${name}" point.schedule
        cfg.points.${name}.randomizedDelay or "5m"
    );

  # A point that is due at the same moment is taken first.
  afterPoints = lib.mapAttrsToList (name: _: "${pointUnit name}.service") points;

  pruneService = job {
    description = "Delete restore points and generations that no rule keeps";
    after = afterPoints;
    args = [
      "prune"
      "--yes"
    ];
    serviceConfig =
      confined [
        cfg.stateDir
        parts.pinDir
        parts.profileDir
      ]
      // background;
  };

  verifyService = job {
    description = "Check that every restore point could come back";
    after = afterPoints ++ [ "cairn-prune.service" ];
    args = [
      "verify"
      "--read-data"
    ];
    serviceConfig = confined [ cfg.stateDir ] // background;
  };

  scheduled = schedule: lib.mkIf (schedule != null);
in
{
  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];

    systemd = {
      tmpfiles.settings."10-cairn".${cfg.stateDir}.d = {
        mode = "0700";
        user = "root";
        group = "root";
      };

      services = lib.mkMerge [
        (lib.mapAttrs' pointService points)
        (scheduled cfg.retention.schedule { cairn-prune = pruneService; })
        (scheduled cfg.verify.schedule { cairn-verify = verifyService; })
      ];

      timers = lib.mkMerge [
        (lib.mapAttrs' pointTimer points)
        (scheduled cfg.retention.schedule {
          cairn-prune = timer "Schedule of cairn's pruning" cfg.retention.schedule "30m";
        })
        (scheduled cfg.verify.schedule {
          cairn-verify = timer "Schedule of cairn's verifying" cfg.verify.schedule "1h";
        })
      ];
    };
  };
}
