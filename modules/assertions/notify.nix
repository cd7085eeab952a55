# Who is told what happened.
{ config, lib, ... }:

let
  cfg = config.services.cairn;
  names = import ../names.nix { inherit lib; };
  inherit (import ./checks.nix { inherit lib; }) isCommand namesWhere quote;

  # The options have types; the policy file and the settings have none.
  commands = cfg.settings.notify.commands or { };
  badNames = namesWhere (name: _: !names.isValid name) commands;
  badCommands = namesWhere (_: command: !isCommand (command.command or [ ])) commands;
in
{
  config.assertions = lib.mkIf cfg.enable [
    {
      assertion = badNames == [ ];
      message = ''
        services.cairn.notify.commands has the name ${quote badNames}. Rename it: ${names.says}.
      '';
    }
    {
      assertion = badCommands == [ ];
      message = ''
        services.cairn.notify.commands has no command, or one without a program's whole path, for ${quote badCommands}. Write one, such as command = [ "/run/current-system/sw/bin/tell-the-admin" ].
      '';
    }
  ];
}
