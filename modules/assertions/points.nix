# The points that are taken by themselves, and how long points are kept.
{ config, lib, ... }:

let
  cfg = config.services.cairn;
  names = import ../names.nix { inherit lib; };
  inherit (import ./checks.nix { inherit lib; })
    isBlank
    keeps
    namesWhere
    quote
    ;

  inherit (cfg.settings) points;
  isScheduled = point: (point.trigger or "schedule") == "schedule";

  badNames = namesWhere (name: _: !names.isValid name) points;
  unscheduled = namesWhere (
    _: point: isScheduled point && ((point.schedule or null) == null || isBlank point.schedule)
  ) points;
  needlesslyScheduled = namesWhere (
    _: point: !isScheduled point && (point.schedule or null) != null
  ) points;
  emptyReasons = namesWhere (_: point: (point.reason or null) != null && isBlank point.reason) points;
  unkept = namesWhere (_: point: (point.keep or null) != null && !keeps point.keep) points;
  # Names of sets that are not there, each with its point.
  unknownSets = lib.concatLists (
    lib.mapAttrsToList (
      name: point:
      map (set: "${name}: ${set}") (
        lib.filter (set: set != "*" && !(cfg.settings.state ? ${set})) (
          if (point.capture.state or null) == null then [ ] else point.capture.state
        )
      )
    ) points
  );
in
{
  config.assertions = lib.mkIf cfg.enable [
    {
      assertion = badNames == [ ];
      message = ''
        services.cairn.points has the name ${quote badNames}. Rename it: ${names.says}.
      '';
    }
    {
      assertion = unscheduled == [ ];
      message = ''
        services.cairn.points has no schedule for ${quote unscheduled}. Give a calendar event such as schedule = "daily", or remove the point.
      '';
    }
    {
      assertion = needlesslyScheduled == [ ];
      message = ''
        services.cairn.points has a schedule for ${quote needlesslyScheduled}, which is not taken by the clock. Remove the schedule, or set trigger = "schedule".
      '';
    }
    {
      assertion = emptyReasons == [ ];
      message = ''
        services.cairn.points has an empty reason for ${quote emptyReasons}. Write the text to show, or reason = null.
      '';
    }
    {
      assertion = unkept == [ ];
      message = ''
        services.cairn.points has a keep for ${quote unkept} that keeps nothing: every point of that name would be deleted. Set a rule, such as keep.keepLast = 5, or keep = null.
      '';
    }
    {
      assertion = unknownSets == [ ];
      message = ''
        services.cairn.points captures state that is not declared: ${quote unknownSets}. Declare the set in services.cairn.state, or remove its name from capture.state.
      '';
    }
    {
      assertion = cfg.retention.schedule == null || !isBlank cfg.retention.schedule;
      message = ''
        services.cairn.retention.schedule is empty. Give a calendar event such as "daily", or null to prune by hand only.
      '';
    }
    {
      assertion = cfg.verify.schedule == null || !isBlank cfg.verify.schedule;
      message = ''
        services.cairn.verify.schedule is empty. Give a calendar event such as "weekly", or null to verify by hand only.
      '';
    }
    {
      assertion = keeps (cfg.settings.retention.points or { });
      message = ''
        services.cairn.retention.points keeps nothing: every restore point would be deleted. Set a rule, such as keepLast = 20.
      '';
    }
    {
      assertion = keeps (cfg.settings.retention.generations or { });
      message = ''
        services.cairn.retention.generations keeps nothing: every system generation but the current one would be deleted. Set a rule, such as keepLast = 10.
      '';
    }
  ];
}
