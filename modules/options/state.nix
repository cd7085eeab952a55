# State beside the configuration, and store paths to hold on to.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  shared = import ../types.nix { inherit lib; };

  set.options = {
    paths = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "/var/lib/postgresql" ];
      description = "The files and directories of the set. At least one.";
    };
    exclude = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "/var/lib/app/cache" ];
      description = "Files and directories below them that are left out.";
    };
    before = mkOption {
      type = types.nullOr shared.command;
      default = null;
      example = lib.literalExpression ''[ (lib.getExe pkgs.sqlite) "/var/lib/app/db" ".backup /var/lib/app/db.copy" ]'';
      description = ''
        A command that runs before the set is captured: the program's path, and
        arguments. No shell reads it. When it fails, the set is not captured.
      '';
    };
    after = mkOption {
      type = types.nullOr shared.command;
      default = null;
      example = lib.literalExpression ''[ (lib.getExe' pkgs.coreutils "rm") "/var/lib/app/db.copy" ]'';
      description = "A command that runs after the capture, also when it failed.";
    };
    units = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "postgresql.service" ];
      description = ''
        systemd units that own the state. They are stopped while it is captured
        or restored, and started again if they ran.
      '';
    };
    snapshot = mkOption {
      type = types.enum [
        "auto"
        "never"
        "required"
      ];
      default = "auto";
      example = "required";
      description = ''
        Whether the set is read from a read-only snapshot of its filesystem, so
        that its units are stopped for an instant only, and a set without units
        is of one moment all the same. `auto` does so where all its paths are
        on btrfs or zfs and nothing below them is a subvolume, dataset or mount
        of its own; `never` keeps the units stopped until all is read; without a
        snapshot, `required` leaves the set out of the point.
      '';
    };
    version = mkOption {
      type = types.nullOr shared.command;
      default = null;
      example = lib.literalExpression ''[ (lib.getExe' config.services.postgresql.package "postgres") "--version" ]'';
      description = ''
        A command whose first line of output says the version of the program
        that owns the state: the program's path, and arguments. It must change
        nothing. A restore that would leave the state to a program of another
        version says so first. Files such as {file}`PG_VERSION` are looked at
        without being asked for.
      '';
    };
    versionChange = mkOption {
      type = types.enum [
        "warn"
        "refuse"
      ];
      default = "warn";
      example = "refuse";
      description = ''
        What a restore does that would leave the state to a program of another
        version, or by which it would come back under one: warn before it
        asks, or refuse. The gate goes back by such restores too.
      '';
    };
    timeout = mkOption {
      type = shared.span;
      default = "10min";
      example = "1h";
      description = ''
        After this long `before` is killed and counts as failed, and so do
        `after` and `version`.
      '';
    };
  };
in
{
  options.services.cairn = {
    state = mkOption {
      type = types.attrsOf (types.submodule set);
      default = { };
      example = {
        database = {
          paths = [ "/var/lib/postgresql" ];
          units = [ "postgresql.service" ];
        };
      };
      description = ''
        Sets of state that are captured together, such as the data of one
        program. Which points hold them is said in
        {option}`services.cairn.points.<name>.capture.state`.
      '';
    };

    pins = mkOption {
      type = types.attrsOf types.pathInStore;
      default = { };
      example = lib.literalExpression ''{ last-year = "/nix/store/…-nixos-system-machine-25.11"; }'';
      description = ''
        Store paths that are never collected, such as systems known to work, by
        name. Each is held by the link
        {file}`/nix/var/nix/gcroots/cairn/declared/<name>`. `cairn prune` removes
        the links of those that are no longer declared.
      '';
    };
  };
}
