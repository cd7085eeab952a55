# What may be done about issues.
{ config, lib, ... }:

let
  cfg = config.services.cairn;
  heal = cfg.settings.heal or { };
  both = lib.intersectLists (heal.destructive or [ ]) (heal.disabled or [ ]);
in
{
  config.assertions = lib.mkIf cfg.enable [
    {
      assertion = both == [ ];
      message = ''
        services.cairn.heal has ${lib.concatStringsSep ", " both} in destructive and in disabled. Remove it from one of them.
      '';
    }
  ];
}
