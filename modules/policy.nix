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

  withoutNull = lib.filterAttrs (_: value: value != null);

  policy = {
    version = 1;
    inherit (cfg) stateDir configPaths;
    points = lib.mapAttrs (_: point: withoutNull { inherit (point) schedule reason; }) cfg.points;
    retention = {
      points = withoutNull cfg.retention.points;
      generations = withoutNull cfg.retention.generations;
    };
  };
in
{
  config = lib.mkIf cfg.enable {
    services.cairn.settings = lib.mapAttrsRecursive (_: lib.mkDefault) policy;

    environment.etc."cairn/policy.json".source = json.generate "cairn-policy.json" cfg.settings;
  };
}
