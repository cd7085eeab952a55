# Where things are: the state directory, the configuration, and Nix.
{ config, lib, ... }:

let
  cfg = config.services.cairn;
  inherit (import ./checks.nix { inherit lib; })
    isPlainPath
    isWithin
    isWithinAny
    overlap
    quote
    ;

  configPaths = cfg.settings.configPaths or [ ];
  badConfigPaths = lib.filter (path: !isPlainPath path) configPaths;
  storeConfigPaths = lib.filter (isWithin "/nix/store") configPaths;
  overlappingConfigPaths = lib.filter (overlap cfg.stateDir) configPaths;
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
      assertion = cfg.settings.stateDir or null == cfg.stateDir;
      message = ''
        services.cairn.settings.stateDir (or policyFile's) differs from services.cairn.stateDir, so that the units and the command would use two directories. Set services.cairn.stateDir only.
      '';
    }
    {
      assertion = cfg.settings.version or null == 1;
      message = ''
        services.cairn.settings.version (or policyFile's) is ${
          builtins.toJSON (cfg.settings.version or null)
        }, and this cairn reads policies of version 1. Write "version": 1, or use the cairn that the policy was written for.
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
