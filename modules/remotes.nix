# Sending points to remotes by the clock: a service and a timer for each. What
# opens a remote reaches the service as a credential, and nobody else.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:

let
  cfg = config.services.cairn;
  parts = import ./parts.nix {
    inherit
      config
      lib
      pkgs
      utils
      ;
  };

  scheduled = lib.filterAttrs (_: remote: (remote.schedule or null) != null) (
    parts.named cfg.settings.remotes
  );
  unit = name: "cairn-push-${name}";
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
    name: remote:
    let
      places = lib.optional (isHere remote) remote.url ++ storeDir remote;
      writable = [ cfg.stateDir ] ++ map (place: "-${place}") places;
      confined = parts.confined writable;
    in
    lib.nameValuePair (unit name) (
      parts.job {
        description = "Send restore points to ${name}";
        args = [
          "remote"
          "push"
          name
        ]
        ++ lib.optionals (has remote "passwordFile") [
          "--password-file"
          "/run/credentials/${unit name}.service/password"
        ]
        ++ lib.optionals (has remote "environmentFile") [
          "--environment-file"
          "/run/credentials/${unit name}.service/environment"
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
          // lib.optionalAttrs (!isHere remote || (has remote "closures" && storeDir remote == [ ])) {
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
    name: remote:
    lib.nameValuePair (unit name) {
      description = "Schedule of sending restore points to ${name}";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = remote.schedule;
        Persistent = true;
        RandomizedDelaySec = "15m";
      };
    };
in
{
  config = lib.mkIf cfg.enable {
    systemd = {
      services = lib.mapAttrs' service scheduled;
      timers = lib.mapAttrs' timer scheduled;
    };
  };
}
