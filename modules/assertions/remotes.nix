# Remotes and caches.
{ config, lib, ... }:

let
  cfg = config.services.cairn;
  names = import ../names.nix { inherit lib; };
  inherit (import ./checks.nix { inherit lib; })
    isBlank
    isPlainPath
    isWithin
    namesWhere
    quote
    ;

  inherit (cfg.settings) remotes;

  badNames = namesWhere (name: _: !names.isValid name) remotes;
  nowhere = namesWhere (_: remote: isBlank (remote.url or "")) remotes;
  badPasswordFiles = namesWhere (
    _: remote:
    (remote.passwordFile or null) != null
    && (!isPlainPath remote.passwordFile || isWithin "/nix/store" remote.passwordFile)
  ) remotes;
  badEnvironmentFiles = namesWhere (
    _: remote:
    (remote.environmentFile or null) != null
    && (!isPlainPath remote.environmentFile || isWithin "/nix/store" remote.environmentFile)
  ) remotes;
  # Every calendar event of a remote.
  events =
    remote:
    lib.filter (event: event != null) (
      map (field: remote.${field} or null) [
        "schedule"
        "pruneSchedule"
        "checkSchedule"
      ]
    );
  unopened = namesWhere (
    _: remote: events remote != [ ] && (remote.passwordFile or null) == null
  ) remotes;
  unscheduled = namesWhere (_: remote: lib.any isBlank (events remote)) remotes;
  blankCaches = lib.filter isBlank (cfg.settings.caches or [ ]);
in
{
  config.assertions = lib.mkIf cfg.enable [
    {
      assertion = blankCaches == [ ];
      message = ''
        services.cairn.caches has an empty entry. Write the URL of a Nix store, such as "https://cache.example.org", or remove it.
      '';
    }
    {
      assertion = badNames == [ ];
      message = ''
        services.cairn.remotes has the name ${quote badNames}. Rename it: ${names.says}.
      '';
    }
    {
      assertion = nowhere == [ ];
      message = ''
        services.cairn.remotes has no url for ${quote nowhere}. Say where, such as url = "rest:https://backup.example.org/machine", or remove the remote.
      '';
    }
    {
      assertion = badPasswordFiles == [ ];
      message = ''
        services.cairn.remotes has no usable passwordFile for ${quote badPasswordFiles}. Name a file outside the store, which everybody can read, by its absolute path in quotes, such as "/run/secrets/backup".
      '';
    }
    {
      assertion = badEnvironmentFiles == [ ];
      message = ''
        services.cairn.remotes has no usable environmentFile for ${quote badEnvironmentFiles}. Name a file outside the store, which everybody can read, by its absolute path in quotes, such as "/run/secrets/backup-server".
      '';
    }
    {
      assertion = unopened == [ ];
      message = ''
        services.cairn.remotes has a schedule and no passwordFile for ${quote unopened}. Name the file with the repository's password, such as passwordFile = "/run/secrets/backup".
      '';
    }
    {
      assertion = unscheduled == [ ];
      message = ''
        services.cairn.remotes has an empty schedule for ${quote unscheduled}. Give a calendar event such as "daily", or null for none.
      '';
    }
  ];
}
