# /etc/cairn/policy.json: the options, the policy file and the settings, in this
# order of rising weight, as the program reads them. The units are made from the
# outcome, so that it doesn't matter where something was declared.
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
    inherit (cfg)
      stateDir
      caches
      configPaths
      preSwitch
      bootGate
      risk
      health
      heal
      notify
      ;
    points = lib.mapAttrs (
      _: point:
      withoutNull {
        inherit (point) trigger schedule reason;
        capture = withoutNull point.capture;
        keep = if point.keep == null then null else withoutNull point.keep;
      }
    ) cfg.points;
    retention = {
      points = withoutNull cfg.retention.points;
      generations = withoutNull cfg.retention.generations;
    };
    state = lib.mapAttrs (_: withoutNull) cfg.state;
    gate = withoutNull cfg.gate;
    remotes = lib.mapAttrs (
      _: remote:
      withoutNull (
        remote
        // {
          keep = if remote.keep == null then null else withoutNull remote.keep;
        }
      )
    ) cfg.remotes;
    pins = lib.mapAttrs (_: toString) cfg.pins;
  };

  written = json.generate "cairn-policy.json" cfg.settings;
  # The program that will read it finds what no assertion here looks for, such
  # as misspelt names in the policy file, before any machine has it.
  checked = pkgs.runCommand "cairn-policy.json" { } ''
    ${lib.getExe cfg.package} policy check ${written}
    cp ${written} $out
  '';

  weigh = priority: lib.mapAttrsRecursive (_: lib.mkOverride priority);
in
{
  config = lib.mkIf cfg.enable {
    services.cairn.settings = lib.mkMerge [
      # As weak as an option's default made by lib.mkDefault …
      (weigh 1000 policy)
      # … a little stronger, and weaker than anything set without a priority.
      (weigh 900 cfg.fromFile)
    ];

    environment.etc."cairn/policy.json".source =
      if pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform then checked else written;
  };
}
