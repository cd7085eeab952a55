# Sending points to remotes by the clock, and tending what is there: a service and
# a timer for each. What opens a remote reaches the service as a credential, and
# nobody else.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}@args:

let
  cfg = config.services.cairn;
  parts = import ./parts.nix args;

  # What is done by the clock, and when, by the names of fields.
  jobs = {
    push = {
      when = "schedule";
      what = name: "Send restore points to ${name}";
    };
    prune = {
      when = "pruneSchedule";
      what = name: "Remove restore points that no rule keeps from ${name}";
      options = [ "--yes" ];
    };
    check = {
      when = "checkSchedule";
      what = name: "Check the restore points on ${name}";
    };
  };
  scheduled = lib.concatLists (
    lib.mapAttrsToList (
      name: remote:
      lib.mapAttrsToList (verb: job: {
        inherit name remote verb;
        unit = "cairn-${verb}-${name}";
        description = job.what name;
        options = job.options or [ ];
        when = remote.${job.when};
      }) (lib.filterAttrs (_: job: has remote job.when) jobs)
    ) (parts.named cfg.settings.remotes)
  );
  isHere = remote: lib.hasPrefix "/" remote.url;
  has = remote: field: (remote.${field} or null) != null;

  # The directory that a store of systems is, where it is one.
  storeDir =
    remote:
    let
      url = if has remote "closures" then remote.closures else "";
      plain = lib.head (lib.splitString "?" (lib.removePrefix "file://" url));
    in
    lib.optional (lib.hasPrefix "/" plain) plain;

  service =
    {
      name,
      remote,
      verb,
      unit,
      description,
      options,
      ...
    }:
    let
      sends = verb == "push";
      stores = lib.optionals sends (storeDir remote);
      places = lib.optional (isHere remote) remote.url ++ stores;
      writable = [ cfg.stateDir ] ++ map (place: "-${place}") places;
      confined = parts.confined writable;
    in
    lib.nameValuePair unit (
      parts.job {
        inherit description;
        args = [
          "remote"
          verb
          name
        ]
        ++ options
        ++ lib.optionals (has remote "passwordFile") [
          "--password-file"
          "/run/credentials/${unit}.service/password"
        ]
        ++ lib.optionals (has remote "environmentFile") [
          "--environment-file"
          "/run/credentials/${unit}.service/environment"
        ];
        after = [ "network-online.target" ];
        wants = [ "network-online.target" ];
        mounts = places;
        # Nobody's home can be written: ssh's sockets and Nix's cache of what a
        # store has go where only this unit looks.
        environment = {
          XDG_STATE_HOME = "/tmp";
          XDG_CACHE_HOME = "/tmp";
        };
        serviceConfig =
          confined
          // parts.background
          // {
            TimeoutStartSec = "1d";
            LoadCredential =
              lib.optional (has remote "passwordFile") "password:${remote.passwordFile}"
              ++ lib.optional (has remote "environmentFile") "environment:${remote.environmentFile}";
          }
          // lib.optionalAttrs (!isHere remote || (sends && has remote "closures" && stores == [ ])) {
            PrivateNetwork = false;
            RestrictAddressFamilies = [
              "AF_UNIX"
              "AF_INET"
              "AF_INET6"
            ];
          };
      }
    );

  timer =
    {
      unit,
      description,
      when,
      ...
    }:
    lib.nameValuePair unit {
      description = "Schedule: ${description}";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = when;
        Persistent = true;
        RandomizedDelaySec = "15m";
      };
    };
in
{
  config = lib.mkIf cfg.enable {
    systemd = {
      services = lib.listToAttrs (map service scheduled);
      timers = lib.listToAttrs (map timer scheduled);
    };
  };
}
