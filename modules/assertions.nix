# What can't work, said before anything is built. Each message says the fix.
{ config, lib, ... }:

let
  cfg = config.services.cairn;
  names = import ./names.nix { inherit lib; };

  # A path as the units and the policy can use it: absolute, normal, and of
  # characters that need no quoting in a unit or in tmpfiles.d.
  isPlainPath =
    path:
    lib.match "(/[a-zA-Z0-9_.+@=-]+)+" path != null
    && !(lib.any (part: part == "." || part == "..") (lib.splitString "/" path));
  isWithin = parent: path: path == parent || lib.hasPrefix "${parent}/" path;
  isWithinAny = parents: path: lib.any (parent: isWithin parent path) parents;

  # Whether any rule of the policy, as it will be written, keeps something.
  keeps =
    kind:
    lib.any (value: value != null && value != 0 && value != [ ]) (
      lib.attrValues (removeAttrs (cfg.settings.retention.${kind} or { }) [ "minAge" ])
    );

  quote = lib.concatMapStringsSep ", " (text: "\"${text}\"");

  badConfigPaths = lib.filter (path: !isPlainPath path) cfg.configPaths;
  storeConfigPaths = lib.filter (isWithin "/nix/store") cfg.configPaths;
  overlappingConfigPaths = lib.filter (
    path: isWithin path cfg.stateDir || isWithin cfg.stateDir path
  ) cfg.configPaths;
  badNames = lib.filter (name: !names.isValid name) (lib.attrNames cfg.points);
  unscheduled = lib.attrNames (lib.filterAttrs (_: point: lib.trim point.schedule == "") cfg.points);
  emptyReasons = lib.attrNames (
    lib.filterAttrs (_: point: point.reason != null && lib.trim point.reason == "") cfg.points
  );
in
{
  config.assertions = lib.mkIf cfg.enable [
    {
      assertion = isPlainPath cfg.stateDir;
      message = ''
        services.cairn.stateDir is "${cfg.stateDir}". Write an absolute path without "..", a final "/", spaces or special characters, such as "/var/lib/cairn".
      '';
    }
    {
      assertion = !isWithin "/nix/store" cfg.stateDir;
      message = ''
        services.cairn.stateDir is "${cfg.stateDir}", which is in the store: nothing can be written there and everybody can read it. Name a directory outside, such as "/var/lib/cairn", as a string in quotes.
      '';
    }
    {
      assertion = !isWithin "/etc" cfg.stateDir;
      message = ''
        services.cairn.stateDir is "${cfg.stateDir}", but /etc is made anew by each generation and may be read-only. Name a directory outside, such as "/var/lib/cairn".
      '';
    }
    {
      assertion =
        !isWithinAny [
          "/dev"
          "/proc"
          "/run"
          "/sys"
          "/tmp"
          "/var/tmp"
        ] cfg.stateDir;
      message = ''
        services.cairn.stateDir is "${cfg.stateDir}", which is emptied at boot or in time: restore points would be lost. Name a directory that stays, such as "/var/lib/cairn".
      '';
    }
    {
      assertion = cfg.configPaths != [ ];
      message = ''
        services.cairn.configPaths is empty, so that no point would hold a configuration. Name at least one file or directory, such as "/etc/nixos".
      '';
    }
    {
      assertion = badConfigPaths == [ ];
      message = ''
        services.cairn.configPaths has ${quote badConfigPaths}. Write absolute paths below "/", without "..", a final "/", spaces or special characters, such as "/etc/nixos".
      '';
    }
    {
      assertion = storeConfigPaths == [ ];
      message = ''
        services.cairn.configPaths has ${quote storeConfigPaths}, which is in the store, where nothing can be restored to. Name the place you edit, as a string in quotes: "/etc/nixos", not /etc/nixos.
      '';
    }
    {
      assertion = overlappingConfigPaths == [ ];
      message = ''
        services.cairn.configPaths has ${quote overlappingConfigPaths}, and stateDir is "${cfg.stateDir}": points would hold points. Move one out of the other.
      '';
    }
    {
      assertion = badNames == [ ];
      message = ''
        services.cairn.points has the name ${quote badNames}. Rename it: letters, digits, "-" and "_" only, with a letter or a digit first.
      '';
    }
    {
      assertion = unscheduled == [ ];
      message = ''
        services.cairn.points has no schedule for ${quote unscheduled}. Give a calendar event such as schedule = "daily", or remove the point.
      '';
    }
    {
      assertion = emptyReasons == [ ];
      message = ''
        services.cairn.points has an empty reason for ${quote emptyReasons}. Write the text to show, or reason = null.
      '';
    }
    {
      assertion = cfg.retention.schedule == null || lib.trim cfg.retention.schedule != "";
      message = ''
        services.cairn.retention.schedule is empty. Give a calendar event such as "daily", or null to prune by hand only.
      '';
    }
    {
      assertion = keeps "points";
      message = ''
        services.cairn.retention.points keeps nothing: every restore point would be deleted. Set a rule, such as keepLast = 20.
      '';
    }
    {
      assertion = keeps "generations";
      message = ''
        services.cairn.retention.generations keeps nothing: every system generation but the current one would be deleted. Set a rule, such as keepLast = 10.
      '';
    }
    {
      assertion = cfg.settings.stateDir or null == cfg.stateDir;
      message = ''
        services.cairn.settings.stateDir differs from services.cairn.stateDir, so that the units and the command would use two directories. Set services.cairn.stateDir only.
      '';
    }
    {
      assertion = config.nix.enable;
      message = ''
        services.cairn needs the Nix daemon, to keep the systems of its points from being collected. Set nix.enable = true, or services.cairn.enable = false.
      '';
    }
  ];
}
