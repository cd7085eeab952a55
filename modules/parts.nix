# What the files of this folder make units of: the effective policy, without
# what its assertions refuse, and the shapes that units share.
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
  spans = import ./span.nix { inherit lib; };
in
rec {
  inherit (cfg.settings) preSwitch gate bootGate;

  # GC roots of pinned points. Not a setting: the collector looks nowhere else.
  pinDir = "/nix/var/nix/gcroots/cairn";
  profileDir = "/nix/var/nix/profiles";

  # A badly named point, set or pin gets no unit and no link, so that its
  # assertion is what the user reads, not an error about a unit's name.
  named = lib.filterAttrs (name: _: names.isValid name);
  pins = named cfg.settings.pins;
  sets = named cfg.settings.state;
  points = lib.filterAttrs (
    _: point: (point.trigger or "schedule") == "schedule" && (point.schedule or null) != null
  ) (named cfg.settings.points);
  pointUnit = name: "cairn-point-${name}";

  # The state sets that a scheduled point captures.
  setsOf =
    point:
    let
      wanted = point.capture.state or null;
    in
    if wanted == null || lib.elem "*" wanted then
      sets
    else
      lib.filterAttrs (name: _: lib.elem name wanted) sets;

  # How long the hook may hold a switch up. What can't be read is refused by an
  # assertion.
  hookSeconds =
    let
      seconds = spans.toSeconds preSwitch.timeout;
    in
    if seconds == null then 120 else seconds;

  # What makes snapshots, where the machine has such filesystems.
  snapshotTools =
    let
      supports = name: config.boot.supportedFilesystems.${name} or false;
    in
    lib.optional (supports "btrfs") pkgs.btrfs-progs
    ++ lib.optional (supports "zfs") config.boot.zfs.package;

  # The programs that cairn calls, beside systemd's, which each unit has: Nix,
  # to set profiles and delete generations; git, to tell a commit; wall, to tell
  # who is logged in; ssh, to reach remotes; those that make snapshots.
  programs = [
    config.nix.package
    pkgs.gitMinimal
    pkgs.openssh
    pkgs.util-linux
  ]
  ++ snapshotTools;

  execStart =
    args:
    utils.escapeSystemdExecArgs (
      [
        (lib.getExe cfg.package)
        "--state-dir"
        cfg.stateDir
      ]
      ++ args
    );

  # `cairn ARGS` once. A switch neither restarts such a job nor cuts it off:
  # some of them are what switches.
  job =
    {
      description,
      args,
      mounts ? [ ],
      environment ? { },
      unitConfig ? { },
      serviceConfig ? { },
      ...
    }@unit:
    removeAttrs unit [
      "args"
      "mounts"
    ]
    // {
      documentation = [ "man:cairn(1)" ];
      path = programs;
      # Through the daemon, Nix needs to write nothing but links itself.
      environment = {
        NIX_REMOTE = "daemon";
      }
      // environment;
      restartIfChanged = false;
      unitConfig = {
        RequiresMountsFor = [ cfg.stateDir ] ++ mounts;
        X-StopOnRemoval = false;
      }
      // unitConfig;
      serviceConfig = {
        Type = "oneshot";
        ExecStart = execStart args;
        UMask = "0077";
      }
      // serviceConfig;
    };

  # The background's share of the machine.
  background = {
    TimeoutStartSec = "1h";
    Nice = 10;
    IOSchedulingClass = "best-effort";
    IOSchedulingPriority = 7;
  };

  # For what runs commands that the user wrote, or switches systems: these may
  # need anything, so only what no such thing should do is taken away.
  open = {
    PrivateTmp = true;
    LockPersonality = true;
    RestrictRealtime = true;
    SystemCallArchitectures = "native";
  };

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
  };
}
