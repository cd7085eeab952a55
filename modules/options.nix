# What a user can set. Each option's effect is in policy.nix or services.nix,
# and what makes a value wrong in assertions.nix.
{ lib, pkgs, ... }:

let
  inherit (lib) mkOption types;

  json = pkgs.formats.json { };

  # What `cairn` reads as a length of time, largest unit first.
  duration =
    types.addCheck (types.strMatching (
      lib.concatMapStrings (unit: "([1-9][0-9]*${unit})?") [
        "y"
        "m"
        "w"
        "d"
        "h"
      ]
    )) (text: text != "")
    // {
      description = "length of time such as 36h, 10d, 2w, 6m or 1y6m (years, months, weeks, days, hours)";
    };

  keepCount =
    default: what: example:
    mkOption {
      type = types.ints.unsigned;
      inherit default example;
      description = "How many ${what} to keep. `0` leaves this rule out.";
    };

  # The same rules for points and for generations. An item stays when any one
  # rule keeps it.
  keepRules =
    { items, last }:
    {
      keepLast = keepCount last "of the newest ${items}" 30;
      keepHourly = keepCount 0 "hours to keep the newest of the ${items} of" 24;
      keepDaily = keepCount 0 "days to keep the newest of the ${items} of" 7;
      keepWeekly = keepCount 0 "weeks to keep the newest of the ${items} of" 4;
      keepMonthly = keepCount 0 "months to keep the newest of the ${items} of" 12;
      keepYearly = keepCount 0 "years to keep the newest of the ${items} of" 5;
      keepWithin = mkOption {
        type = types.nullOr duration;
        default = null;
        example = "14d";
        description = ''
          Keep all ${items} that were made in this length of time before the
          newest of them. `null` leaves this rule out.
        '';
      };
      minAge = mkOption {
        type = types.nullOr duration;
        default = null;
        example = "2d";
        description = ''
          Never delete ${items} younger than this, even if no rule keeps them.
          `null` sets no such age.
        '';
      };
    };

  point = {
    options = {
      schedule = mkOption {
        type = types.str;
        default = "daily";
        example = "*-*-* 06,18:00";
        description = ''
          When the point is taken, as a calendar event of {manpage}`systemd.time(7)`.
          A moment at which the machine was off is made up for after the next boot.
        '';
      };
      reason = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "before the nightly maintenance";
        description = "Why the point is taken: the text `cairn list` shows. `null` leaves it to the schedule's name.";
      };
      randomizedDelay = mkOption {
        type = types.str;
        default = "5m";
        example = "1h";
        description = ''
          The point is taken up to this much later than scheduled, so that many
          machines, or many jobs of one machine, don't start at the same second.
          A time span of {manpage}`systemd.time(7)`; `"0"` for none.
        '';
      };
    };
  };
in
{
  options.services.cairn = {
    enable = lib.mkEnableOption "cairn, restore points of the system, its configuration and its state";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../package.nix { };
      defaultText = lib.literalExpression "the package of the flake, or pkgs.callPackage ./package.nix { }";
      example = lib.literalExpression "inputs.cairn.packages.\${pkgs.stdenv.hostPlatform.system}.default";
      description = "The cairn to use.";
    };

    stateDir = mkOption {
      type = types.str;
      default = "/var/lib/cairn";
      example = "/persist/cairn";
      description = ''
        Where restore points are kept. It is created with mode 0700, owned by root.

        On a machine whose root filesystem is emptied at boot, name a directory
        on one that stays.
      '';
    };

    configPaths = mkOption {
      type = types.listOf types.str;
      default = [ "/etc/nixos" ];
      example = [
        "/etc/nixos"
        "/home/alice/machines"
      ];
      description = ''
        The configuration to capture in each point: files, or directories with
        all that is in them. Files elsewhere that these import are followed.
      '';
    };

    points = mkOption {
      type = types.attrsOf (types.submodule point);
      default = {
        daily = { };
      };
      example = {
        morning.schedule = "06:00";
        weekly = {
          schedule = "Sun 03:00";
          reason = "the weekly point";
        };
      };
      description = ''
        The points that are taken on a schedule. Each becomes the timer
        `cairn-point-<name>.timer`, and `cairn list` shows `schedule:<name>` for
        what triggered it. Points you declare take the place of the default,
        one point a day.
      '';
    };

    retention = {
      schedule = mkOption {
        type = types.nullOr types.str;
        default = "daily";
        example = "weekly";
        description = ''
          When points and generations that no rule keeps are deleted, as a
          calendar event of {manpage}`systemd.time(7)`. With `null` this only
          happens when you run `cairn prune`.
        '';
      };
      points =
        keepRules {
          items = "restore points";
          last = 20;
        }
        // {
          keepTags = mkOption {
            type = types.listOf types.str;
            default = [ ];
            example = [
              "release"
              "before-upgrade,tested"
            ];
            description = ''
              Keep restore points that have one of these tags. Tags joined by commas
              must all be there.
            '';
          };
        };
      generations = keepRules {
        items = "system generations";
        last = 10;
      };
    };

    settings = mkOption {
      type = types.submodule { freeformType = json.type; };
      default = { };
      example = {
        retention.points.keepLast = 50;
      };
      description = ''
        The policy, {file}`/etc/cairn/policy.json`, which every `cairn` on this
        machine reads. The options above fill it in; what you set here is merged
        over them. Every user can read it, and so can the store: put no secret in it.
      '';
    };
  };
}
