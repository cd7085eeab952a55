# The points that are taken without being asked for, and how long all are kept.
{ config, lib, ... }:

let
  inherit (lib) mkOption types;

  cfg = config.services.cairn;
  shared = import ../types.nix { inherit lib; };

  rulesOfPoints =
    last:
    shared.keepRules {
      items = "restore points";
      inherit last;
    }
    // {
      inherit (shared) keepTags;
    };

  point =
    { config, ... }:
    {
      options = {
        trigger = mkOption {
          type = types.enum [
            "schedule"
            "preSwitch"
            "boot"
            "preHeal"
          ];
          default = "schedule";
          example = "boot";
          description = ''
            What makes the point be taken: the clock, a switch that is about to
            change the system, a boot, or a healing action that is about to run.
            All that points before a switch capture goes into the one point which
            {option}`services.cairn.preSwitch` takes anyway, and all that points
            before healing capture into the one which healing takes anyway.
          '';
        };
        schedule = mkOption {
          type = types.nullOr shared.schedule;
          default = if config.trigger == "schedule" then "daily" else null;
          defaultText = lib.literalExpression ''"daily", or null with another trigger'';
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
          description = "Why the point is taken: the text `cairn list` shows. `null` leaves it to the trigger.";
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
        capture = {
          config = mkOption {
            type = types.bool;
            default = true;
            example = false;
            description = "Whether the point holds the configuration.";
          };
          state = mkOption {
            type = types.nullOr (types.listOf types.str);
            default = null;
            example = [ "database" ];
            description = ''
              The sets of {option}`services.cairn.state` that the point holds:
              their names, or `"*"` for all. With `null`, all of them for a
              scheduled point, and none for others, which something waits for.
            '';
          };
        };
        keep = mkOption {
          type = types.nullOr (types.submodule { options = rulesOfPoints 0; });
          default = null;
          example = {
            keepDaily = 7;
            keepWeekly = 4;
          };
          description = ''
            Rules for the points of this name, instead of
            {option}`services.cairn.retention.points`.
          '';
        };
      };
    };
in
{
  options.services.cairn = {
    points = mkOption {
      type = types.attrsOf (types.submodule point);
      default = if cfg.fromFile ? points then { } else { daily = { }; };
      defaultText = lib.literalExpression "{ daily = { }; }, if policyFile has no points";
      example = {
        morning.schedule = "06:00";
        weekly = {
          schedule = "Sun 03:00";
          reason = "the weekly point";
        };
        boot.trigger = "boot";
      };
      description = ''
        The points that are taken without being asked for. A scheduled one has
        the timer `cairn-point-<name>.timer`, and `cairn list` shows
        `schedule:<name>` for what triggered it. Points you declare take the
        place of the default, one point a day.
      '';
    };

    retention = {
      schedule = mkOption {
        type = types.nullOr shared.schedule;
        default = "daily";
        example = "weekly";
        description = ''
          When points and generations that no rule keeps are deleted, as a
          calendar event of {manpage}`systemd.time(7)`. With `null` this only
          happens when you run `cairn prune`.
        '';
      };
      points = rulesOfPoints 20;
      generations = shared.keepRules {
        items = "system generations";
        last = 10;
      };
    };

    verify.schedule = mkOption {
      type = types.nullOr shared.schedule;
      default = "weekly";
      example = "monthly";
      description = ''
        When `cairn verify --read-data` checks that every restore point could come
        back, as a calendar event of {manpage}`systemd.time(7)`. It reads every
        stored byte, when the disk has nothing else to do. The unit
        `cairn-verify.service` fails if a point could not come back. With `null` this only
        happens when you run it.
      '';
    };
  };
}
