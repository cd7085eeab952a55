# Copies of the restore points elsewhere.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  shared = import ../types.nix { inherit lib; };

  remote =
    { config, ... }:
    {
      options = {
        url = mkOption {
          type = types.str;
          default = "";
          example = "rest:https://backup.example.org/machines";
          description = ''
            Where its repository is: a path, `rest:https://HOST/NAME`,
            `s3:https://HOST/BUCKET/NAME` or `sftp:USER@HOST:/PATH`. Any number of machines
            share it. `cairn remote add` makes it.
          '';
        };
        passwordFile = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "/run/secrets/backup";
          description = ''
            The file that holds the repository's password, outside the store. With the
            address, the password is all that another machine needs to read everything there.
          '';
        };
        environmentFile = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "/run/secrets/backup-server";
          description = ''
            The file with what opens its server, outside the store, as lines of
            `NAME=VALUE`: `RESTIC_REST_USERNAME`, `RESTIC_REST_PASSWORD`, `AWS_ACCESS_KEY_ID`,
            `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, or `CAIRN_SSH_KEY`, the path of a private
            key.
          '';
        };
        schedule = mkOption {
          type = types.nullOr shared.schedule;
          default = null;
          example = "daily";
          description = ''
            When points are sent, as a calendar event of {manpage}`systemd.time(7)`. The unit
            `cairn-push-NAME.service` fails if not all of them were. With `null` only
            `cairn remote push` sends any.
          '';
        };
        pruneSchedule = mkOption {
          type = types.nullOr shared.schedule;
          default = if config.schedule != null && config.keep != null then "weekly" else null;
          example = "Sun 04:00";
          defaultText = lib.literalExpression ''if schedule != null && keep != null then "weekly" else null'';
          description = ''
            When this machine's points that `keep` does not keep are removed there. With
            `null`, as on a server that takes no deletions, only
            `cairn remote prune` removes any.
          '';
        };
        checkSchedule = mkOption {
          type = types.nullOr shared.schedule;
          default = if config.schedule != null then "monthly" else null;
          example = "weekly";
          defaultText = lib.literalExpression ''if schedule != null then "monthly" else null'';
          description = ''
            When it is looked whether all of every point is there. The unit
            `cairn-check-NAME.service` fails if not.
          '';
        };
        keep = mkOption {
          type = types.nullOr (
            types.submodule {
              options =
                shared.keepRules {
                  items = "restore points";
                  last = 0;
                }
                // {
                  inherit (shared) keepTags;
                };
            }
          );
          default = null;
          example = {
            keepDaily = 30;
            keepMonthly = 12;
          };
          description = ''
            Rules for this machine's points there; what they do not keep is not sent
            either. The rest is removed by {option}`pruneSchedule`. With `null` all of them stay.
          '';
        };
        closures = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "s3://cache?endpoint=backup.example.org";
          description = ''
            The Nix store that the points' systems are sent to, as `nix copy` has it:
            `file:///…`, `s3://…`, `ssh://…`. List it in
            {option}`services.cairn.caches` too, so that restores look there.
          '';
        };
        maxAge = mkOption {
          type = types.nullOr shared.span;
          default = null;
          example = "2d";
          description = ''
            How old the newest copy there may be before the health check `copies` fails.
            `null` leaves it out.
          '';
        };
        knowledge = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = ''
            Whether machines tell each other through it what helped against what. No names
            of units, files or hosts are told.
          '';
        };
      };
    };
in
{
  options.services.cairn = {
    remotes = mkOption {
      type = types.attrsOf (types.submodule remote);
      default = { };
      example = {
        office = {
          url = "rest:https://backup.example.org/machines";
          passwordFile = "/run/secrets/backup";
          schedule = "daily";
          maxAge = "2d";
        };
      };
      description = "Other places that copies of the points go to, by name.";
    };
  };
}
