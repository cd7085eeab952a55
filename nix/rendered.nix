# What `nix/render` writes, as texts by path: the options as a document, and the
# module's units, hook, links, directories and policy, for the test-bed, which
# has no nixpkgs. Only evaluates; works with `nix-instantiate --eval`.
{
  # A nixpkgs tree.
  nixpkgs,
  system ? "x86_64-linux",
}:

let
  lib = import (nixpkgs + "/lib");

  evaluate =
    configuration:
    import (nixpkgs + "/nixos/lib/eval-config.nix") {
      inherit lib;
      system = null;
      modules = [
        ../modules
        {
          nixpkgs.hostPlatform = system;
          fileSystems."/" = {
            device = "/dev/vda";
            fsType = "ext4";
          };
          boot.loader.grub.enable = false;
          documentation.enable = false;
          system.stateVersion = "26.05";
        }
        configuration
      ];
    };

  # The machine of the test-bed. What it names must be there: see
  # nixos-tests/bed.
  bed =
    { pkgs, ... }:
    {
      services.cairn = {
        enable = true;
        points = {
          daily = { };
          boot.trigger = "boot";
        };
        state.app = {
          paths = [ "/var/lib/app" ];
          units = [ "app.service" ];
        };
        gate.window = "6s";
        health.checks.network = {
          command = [
            (lib.getExe' pkgs.iputils "ping")
            "-c1"
            "-W1"
            "10.99.0.2"
          ];
          timeout = "3s";
        };
        pins.known-good = "/nix/store/00000000000000000000000000000000-known-good";
      };
    };

  variants = {
    required = {
      services.cairn.preSwitch.required = true;
    };
    boot-gate = {
      services.cairn.bootGate.enable = true;
    };
    heal = {
      services.cairn.heal.enable = true;
    };
    elsewhere = {
      services.cairn = {
        remotes = {
          disk = {
            url = "/mnt/copies";
            passwordFile = "/etc/cairn/password";
            schedule = "hourly";
            keep.keepLast = 1;
          };
          office = {
            url = "rest:http://127.0.0.1:8000/machines/";
            passwordFile = "/etc/cairn/password";
            environmentFile = "/etc/cairn/environment";
            schedule = "daily";
            keep.keepMonthly = 12;
            maxAge = "2d";
          };
        };
        metrics = {
          textfileDirectory = "/var/lib/node-exporter";
          serve = true;
        };
      };
    };
    # Commands hold state still: a copy is there while it is captured.
    commands =
      { pkgs, ... }:
      {
        services.cairn.state.ledger = {
          paths = [ "/var/lib/ledger" ];
          before = [
            (lib.getExe' pkgs.coreutils "cp")
            "/var/lib/ledger/live"
            "/var/lib/ledger/copy"
          ];
          after = [
            (lib.getExe' pkgs.coreutils "rm")
            "/var/lib/ledger/copy"
          ];
        };
      };
  };

  # "/nix/store/<hash>-<name>-<version>/bin/x" → "@<name>@/bin/x": neither a
  # rebuild nor a new version of a package is a difference. The pin of the bed,
  # with its hash of zeros, stays.
  withoutStore =
    text:
    let
      short =
        part:
        let
          hash = lib.head part;
          name = lib.last part;
        in
        if hash == lib.fixedWidthString 32 "0" "" then
          "/nix/store/${hash}-${name}"
        else
          "@${(lib.parseDrvName name).name}@";
    in
    lib.concatStrings (
      map (part: if lib.isString part then part else short part) (
        builtins.split "/nix/store/([0-9a-z]{32})-([0-9a-zA-Z+._?=-]+)" (
          builtins.unsafeDiscardStringContext text
        )
      )
    );

  # NixOS writes an [Install] section that nothing reads, and not in each
  # release; `wants` has what it says.
  withoutInstall = text: lib.head (lib.splitString "\n[Install]" text);
  # One empty line between sections, one line break at the end.
  tidy =
    text:
    let
      lines = lib.splitString "\n" text;
      next =
        kept: line: if line == "" && (kept == [ ] || lib.last kept == "") then kept else kept ++ [ line ];
    in
    lib.removeSuffix "\n" (lib.concatMapStrings (line: "${line}\n") (lib.foldl' next [ ] lines));
  ended = text: lib.removeSuffix "\n" text + "\n";

  render =
    folder: configuration:
    let
      inherit
        (evaluate {
          imports = [
            bed
            configuration
          ];
        })
        config
        ;
      units = lib.filterAttrs (name: _: lib.hasPrefix "cairn-" name) config.systemd.units;
      links =
        kind: list:
        lib.concatLists (
          lib.mapAttrsToList (name: unit: map (target: "${target}.${kind}/${name}") unit.${list}) units
        );
      tmpfiles = lib.findFirst (
        package: package.name == "10-cairn.conf"
      ) (throw "the module has no tmpfiles rules") config.systemd.tmpfiles.packages;
    in
    lib.mapAttrs (_: withoutStore) (
      lib.mapAttrs' (
        name: unit: lib.nameValuePair "${folder}units/${name}" (ended (tidy (withoutInstall unit.text)))
      ) units
      // {
        "${folder}wants" = lib.concatMapStrings (link: "${link}\n") (
          lib.naturalSort (links "wants" "wantedBy" ++ links "requires" "requiredBy")
        );
        "${folder}pre-switch-check.sh" = ended config.system.preSwitchChecks.cairn;
        "${folder}tmpfiles.conf" = ended tmpfiles.text;
        # Read again by the script, which sorts it and breaks its lines.
        "${folder}policy.json" = builtins.toJSON config.services.cairn.settings;
      }
    );

  # Of a variant, only what differs.
  common = render "" { };
  fixtures =
    common
    // lib.concatMapAttrs (
      name: configuration:
      lib.filterAttrs (path: text: text != common.${lib.removePrefix "${name}/" path} or null) (
        render "${name}/" configuration
      )
    ) variants;
in
{
  options = import ./options-document.nix {
    inherit lib;
    options = (evaluate { }).options.services.cairn;
  };
  inherit fixtures;
  # What the program's own tests read, by the name of the case.
  policies = lib.genAttrs [
    "minimal"
    "full"
    "nothing-by-the-clock"
    "from-a-file"
  ] (name: (evaluate (import ./module-cases.nix).good.${name}).config.services.cairn.settings);
}
