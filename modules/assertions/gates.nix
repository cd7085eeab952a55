# What happens around switches and boots.
{ config, lib, ... }:

let
  cfg = config.services.cairn;
  names = import ../names.nix { inherit lib; };
  spans = import ../span.nix { inherit lib; };
  inherit (import ./checks.nix { inherit lib; }) isCommand namesWhere quote;

  inherit (cfg.settings) preSwitch gate;
  checks = cfg.settings.health.checks or { };

  # Every span of the policy, by the name of its option. The types of the
  # options refuse bad ones; the policy file and the settings have no types.
  allSpans = {
    "preSwitch.timeout" = preSwitch.timeout;
    "gate.window" = gate.window;
    "gate.confirmTimeout" = gate.confirmTimeout or null;
    "heal.interval" = cfg.settings.heal.interval or null;
    "heal.coolDown" = cfg.settings.heal.coolDown or null;
    "heal.settle" = cfg.settings.heal.settle or null;
    "heal.foresee" = cfg.settings.heal.foresee or null;
  }
  // lib.mapAttrs' (
    name: check: lib.nameValuePair "health.checks.${name}.timeout" (check.timeout or null)
  ) checks
  // lib.mapAttrs' (
    name: command: lib.nameValuePair "notify.commands.${name}.timeout" (command.timeout or null)
  ) (cfg.settings.notify.commands or { })
  // lib.mapAttrs' (
    name: set: lib.nameValuePair "state.${name}.timeout" (set.timeout or null)
  ) cfg.settings.state;
  badSpans = namesWhere (_: span: span != null && !spans.isSpan span) allSpans;
  noTime = namesWhere (_: span: span != null && spans.toSeconds span == 0) (
    removeAttrs allSpans [
      "gate.window"
      "heal.coolDown"
      "heal.settle"
    ]
  );

  badCheckNames = namesWhere (name: _: !names.isValid name) checks;
  badCommands = namesWhere (_: check: !isCommand (check.command or [ ])) checks;
in
{
  config.assertions = lib.mkIf cfg.enable [
    {
      assertion = badSpans == [ ];
      message = ''
        services.cairn has no span of time in ${quote badSpans}. Write a number with its unit, such as "30s", "2min" or "1h 30min".
      '';
    }
    {
      assertion = noTime == [ ];
      message = ''
        services.cairn leaves no time at all in ${quote noTime}. Write at least "1s".
      '';
    }
    {
      assertion = preSwitch.required -> preSwitch.enable;
      message = ''
        services.cairn.preSwitch.required is set, but no restore point is taken before a switch. Set preSwitch.enable = true, or preSwitch.required = false.
      '';
    }
    {
      assertion = (gate.confirmTimeout or null) != null -> gate.enable && gate.rollback;
      message = ''
        services.cairn.gate.confirmTimeout has no effect: it says when to go back, and nothing goes back. Set gate.enable = true and gate.rollback = true, or gate.confirmTimeout = null.
      '';
    }
    {
      assertion = badCheckNames == [ ];
      message = ''
        services.cairn.health.checks has the name ${quote badCheckNames}. Rename it: ${names.says}.
      '';
    }
    {
      assertion = badCommands == [ ];
      message = ''
        services.cairn.health.checks has no command, or one without a program's whole path, for ${quote badCommands}. Write one, such as command = [ (lib.getExe pkgs.curl) "--fail" "http://localhost/" ].
      '';
    }
  ];
}
