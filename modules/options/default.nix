# What a user can set. Each option's effect is in policy.nix, services.nix,
# hooks.nix, boot.nix or pins.nix, and what makes a value wrong in assertions/.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;

  cfg = config.services.cairn;
  json = pkgs.formats.json { };
in
{
  imports = [
    ./points.nix
    ./state.nix
    ./gates.nix
    ./health.nix
    ./metrics.nix
    ./heal.nix
    ./notify.nix
    ./remotes.nix
  ];

  options.services.cairn = {
    enable = lib.mkEnableOption "cairn, restore points of the system, its configuration and its state";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../../package.nix { };
      defaultText = lib.literalExpression "the package of the flake, or pkgs.callPackage ./package.nix { }";
      example = lib.literalExpression "inputs.cairn.packages.\${pkgs.stdenv.hostPlatform.system}.default";
      description = "The cairn to use.";
    };

    policyFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "./cairn.json";
      description = ''
        A policy in JSON, such as `cairn policy init` writes. It is read when
        the configuration is evaluated. What it says counts instead of the
        options here; what it leaves out, the options fill in. Its points,
        state sets and pins are added to theirs, and get the same units.
      '';
    };

    settings = mkOption {
      type = types.submodule { freeformType = json.type; };
      default = { };
      example = {
        retention.points.keepLast = 50;
      };
      description = ''
        The policy, {file}`/etc/cairn/policy.json`, which every `cairn` on this
        machine reads. The options and {option}`services.cairn.policyFile` fill
        it in; what you set here is merged over both. Every user can read it, and
        so can the store: put no secret in it.
      '';
    };

    stateDir = mkOption {
      type = types.str;
      default = cfg.fromFile.stateDir or "/var/lib/cairn";
      defaultText = lib.literalExpression ''"/var/lib/cairn", if policyFile names no other'';
      example = "/persist/cairn";
      description = ''
        Where restore points are kept. It is created with mode 0700, owned by root.

        On a machine whose root filesystem is emptied at boot, name a directory
        on one that stays.
      '';
    };

    configPaths = mkOption {
      type = types.listOf types.str;
      default = [ "/etc/nixos" ];
      example = [
        "/etc/nixos"
        "/home/alice/machines"
      ];
      description = ''
        The configuration to capture in each point: files, or directories with
        all that is in them. Files elsewhere that these import are followed.

        Name where you keep it, such as a flake in your home directory: where
        nothing is there, points are taken without and `cairn create` fails with
        exit code 3. An empty list says that this machine has none of its own,
        because it is deployed from elsewhere.
      '';
    };

    caches = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "https://cache.example.org" ];
      description = ''
        Nix stores from which a system comes back that is gone from this
        machine's store: `https://…`, `file:///…`, `ssh://…` or `s3://…`, tried
        in order. What nobody trusted has signed is refused.
      '';
    };

    fromFile = mkOption {
      type = json.type;
      default = if cfg.policyFile == null then { } else lib.importJSON cfg.policyFile;
      internal = true;
      readOnly = true;
      description = "What the policy file says.";
    };
  };
}
