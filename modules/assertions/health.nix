# What is looked at to tell whether the machine is well.
{ config, lib, ... }:

let
  cfg = config.services.cairn;
  inherit (import ./checks.nix { inherit lib; }) isBlank isPlainPath quote;

  # The options have types; the policy file and the settings have none.
  health = cfg.settings.health or { };
  badDirs = lib.filter (dir: !isPlainPath dir) (health.dirs or [ ]);
  isHost =
    host:
    let
      port = lib.match "[^[:space:]]+:([0-9]{1,5})" host;
    in
    port != null && lib.toIntBase10 (lib.head port) > 0 && lib.toIntBase10 (lib.head port) < 65536;
  badHosts = lib.filter (host: !isHost host) (health.hosts or [ ]);
in
{
  config.assertions = lib.mkIf cfg.enable [
    {
      assertion = badDirs == [ ];
      message = ''
        services.cairn.health.dirs has no plain absolute path in ${quote badDirs}. Write one, such as "/etc/cairn/check".
      '';
    }
    {
      assertion = badHosts == [ ];
      message = ''
        services.cairn.health.hosts has no host and port in ${quote badHosts}. Write one, such as "example.org:443" or "[2001:db8::1]:22".
      '';
    }
    {
      assertion = !(lib.any isBlank (health.resolve or [ ]));
      message = ''
        services.cairn.health.resolve has an empty name. Write one, such as "example.org", or remove it.
      '';
    }
  ];
}
