# Parts of the policy that this version of cairn reads but does not act on. The
# module only writes them down, so that a policy which has them stays valid.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  shared = import ../types.nix { inherit lib; };

  remote.options = {
    url = mkOption {
      type = types.str;
      default = "";
      example = "rest:https://backup.example.org/machine";
      description = "Where: a path, `rest:https://…`, `s3:…` or `sftp:…`.";
    };
    passwordFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/secrets/backup";
      description = "The file that holds the repository's password, outside the store.";
    };
    schedule = mkOption {
      type = types.nullOr shared.schedule;
      default = null;
      example = "daily";
      description = ''
        When copies are to be sent, as a calendar event of
        {manpage}`systemd.time(7)`. There is no timer for it yet.
      '';
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
          url = "rest:https://backup.example.org/machine";
          passwordFile = "/run/secrets/backup";
        };
      };
      description = ''
        Other places that copies of the points go to, by name. This version of
        cairn does not send any yet: the setting is only written to the policy.
      '';
    };
  };
}
