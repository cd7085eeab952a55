# Who is told what happened.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  shared = import ../types.nix { inherit lib; };

  # As `point/occasion.rs` names them.
  events = [
    "switch-good"
    "switch-bad"
    "went-back"
    "stuck"
    "needs-reboot"
    "confirm-awaited"
    "confirmed"
    "reverted"
    "boot-went-back"
    "boot-stuck"
    "healed"
    "heal-failed"
    "point-failed"
  ];
in
{
  options.services.cairn.notify = {
    wall = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether those who are logged in are told on their terminals what needs
        somebody's attention. The journal is told in any case.
      '';
    };

    commands = mkOption {
      default = { };
      example = {
        mail = {
          command = [ "/run/current-system/sw/bin/tell-the-admin" ];
          events = [ "went-back" ];
        };
      };
      description = ''
        Commands that are run when something happens, by name. They are told as
        JSON on standard input and in variables that begin with `CAIRN_`.
        Whatever comes of them, the switch or boot goes on.
      '';
      type = types.attrsOf (
        types.submodule {
          options = {
            command = mkOption {
              type = shared.command;
              example = [
                "/run/current-system/sw/bin/tell-the-admin"
                "--quietly"
              ];
              description = "The program, with its whole path, and its arguments. No shell reads them.";
            };
            events = mkOption {
              type = types.listOf (types.enum events);
              default = [ ];
              example = [
                "went-back"
                "stuck"
              ];
              description = "What it is told of; everything when empty.";
            };
            timeout = mkOption {
              type = shared.span;
              default = "10s";
              example = "1min";
              description = "After this long it is killed.";
            };
          };
        }
      );
    };
  };
}
