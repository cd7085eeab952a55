# What happens around a switch and a boot.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  shared = import ../types.nix { inherit lib; };
in
{
  options.services.cairn = {
    preSwitch = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = ''
          Whether a restore point is taken before the system is switched, by
          `nixos-rebuild` or any other tool. `NIXOS_NO_CHECK=1` skips it, as it
          does every check before a switch; cairn notices that afterwards.
        '';
      };
      required = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether a switch is refused when no restore point could be taken.";
      };
      timeout = mkOption {
        type = shared.span;
        default = "2min";
        example = "30s";
        description = ''
          How long the switch waits for the point. After that it goes on without
          one, or is refused if a point is required.
        '';
      };
    };

    gate = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Whether the system is judged after a switch.";
      };
      window = mkOption {
        type = shared.span;
        default = "30s";
        example = "2min";
        description = "How long after a switch the system is watched before it is called good.";
      };
      confirmTimeout = mkOption {
        type = types.nullOr shared.span;
        default = null;
        example = "5min";
        description = ''
          Go back unless somebody confirms the switch (`cairn confirm`) within
          this time after its end: for machines that you could lock yourself out
          of. What is switched to with `boot` is to be confirmed after the boot.
          `null` needs no such word.
        '';
      };
      rollback = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = ''
          Whether a bad switch is taken back: to the restore point before it, or
          without one to the system that ran. Otherwise it is only told. It also
          says whether a boot gate may go back.
        '';
      };
    };

    bootGate = {
      enable = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = ''
          Whether the system is judged after a boot. One that is well becomes
          known-good; after several bad boots the last known-good one takes its
          place. With systemd-boot, entries also get a boot counter where the
          release of NixOS knows of it
          ({option}`boot.loader.systemd-boot.bootCounting`, from 26.11), so that
          the boot loader falls back by itself from a system that does not come
          up at all.
        '';
      };
      attempts = mkOption {
        type = types.ints.positive;
        default = 3;
        example = 2;
        description = "How many boots of a system may be bad before another takes its place.";
      };
    };

    risk = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = ''
          Whether it is foretold how a switch will go, from what it changes and from
          what earlier switches came to. `cairn risk` shows it beforehand.
        '';
      };
      threshold = mkOption {
        type = types.ints.between 1 100;
        default = 50;
        example = 20;
        description = ''
          From this probability of failing on, in percent, the point before the
          switch also captures all of {option}`services.cairn.state`, whose units are
          stopped meanwhile, and is pinned until `cairn unpin`. 100 is never reached.
        '';
      };
    };
  };
}
