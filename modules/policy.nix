# /etc/cairn/policy.json: the options, as the binary reads them.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.cairn;
  json = pkgs.formats.json { };

  # A rule that is left out isn't written at all.
  set = lib.filterAttrs (_: value: value != null && value != 0);

  policy = {
    version = 1;
    inherit (cfg) stateDir configPaths;
    points = lib.mapAttrs (
      _: point: lib.filterAttrs (_: value: value != null) { inherit (point) schedule reason; }
    ) cfg.points;
    retention = {
      points = set cfg.retention.points;
      generations = set cfg.retention.generations;
    };
  };
in
{
  config = lib.mkIf cfg.enable {
    services.cairn.settings = lib.mapAttrsRecursive (_: lib.mkDefault) policy;

    environment.etc."cairn/policy.json".source = json.generate "cairn-policy.json" cfg.settings;
  };
}
