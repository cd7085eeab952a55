# What may be done about issues without asking, and how often.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  shared = import ../types.nix { inherit lib; };

  # The actions that cairn has: docs/healing.md.
  action = types.enum [
    "reset-failed"
    "restart-unit"
    "restart-dependencies"
    "collect-garbage"
    "vacuum-journal"
    "clean-temporary-files"
    "renice-unit"
    "stop-unit"
    "set-governor"
    "restore-configuration"
    "restart-network"
    "roll-back"
  ];
in
{
  options.services.cairn.heal = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether `cairn heal` runs by the clock: it looks for issues, takes a
        restore point, tries what helps most often, asks the same check again,
        and takes back what did not help.
      '';
    };
    interval = mkOption {
      type = shared.span;
      default = "5min";
      example = "1min";
      description = "How long after one run the next one begins.";
    };
    destructive = mkOption {
      type = types.listOf action;
      default = [ ];
      example = [
        "restart-unit"
        "roll-back"
      ];
      description = ''
        Actions that are also tried where they are destructive, and off
        otherwise: stopping or restarting a unit that did not fail itself,
        bringing a file of the configuration back, going back to another system.
      '';
    };
    disabled = mkOption {
      type = types.listOf action;
      default = [ ];
      example = [ "vacuum-journal" ];
      description = "Actions that are never tried.";
    };
    ignore = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "clock-wrong"
        "service-down:backup-*.service"
      ];
      description = ''
        Issues that are left alone: a kind, or a kind and what it is about. `*`
        stands for any text.
      '';
    };
    coolDown = mkOption {
      type = shared.span;
      default = "15min";
      example = "1h";
      description = "How long an issue is left alone after an action was tried against it.";
    };
    attempts = mkOption {
      type = types.ints.positive;
      default = 6;
      example = 3;
      description = "How many actions are tried against one issue within a day.";
    };
    perBoot = mkOption {
      type = types.ints.positive;
      default = 30;
      example = 10;
      description = "How many actions are tried in all before the machine boots again.";
    };
    settle = mkOption {
      type = shared.span;
      default = "5s";
      example = "30s";
      description = "How long an issue must stay away to count as healed.";
    };
    foresee = mkOption {
      type = shared.span;
      default = "12h";
      example = "2d";
      description = ''
        A disk or memory that is foreseen to be full within this time has a
        restore point taken beforehand, at most one in such a time.
      '';
    };
  };
}
