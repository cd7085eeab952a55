# Checks of the module that only evaluate: cases that must work, cases that
# must be refused, and what the units, the policy and the options look like.
# Each fails while it is evaluated; nothing of a system is built.
{
  self,
  nixpkgs,
  pkgs,
}:

let
  inherit (pkgs) lib;
  cases = import ./module-cases.nix;

  # The least that makes a system.
  machine = {
    nixpkgs.hostPlatform = pkgs.stdenv.hostPlatform.system;
    fileSystems."/" = {
      device = lib.mkDefault "/dev/vda";
      fsType = lib.mkDefault "ext4";
    };
    boot.loader.grub.enable = false;
    documentation.enable = false;
    system.stateVersion = "26.05";
  };
  evaluate =
    module: configuration:
    nixpkgs.lib.nixosSystem {
      modules = [
        module
        machine
        configuration
      ];
    };

  failures = system: map (item: item.message) (lib.filter (item: !item.assertion) system.assertions);
  toplevel = system: builtins.unsafeDiscardStringContext system.system.build.toplevel.drvPath;

  # `problem` is null, or says what is wrong.
  check =
    name: problem:
    if problem == null then
      pkgs.runCommand "cairn-${name}" { } "touch $out"
    else
      throw "check ${name}: ${problem}";
  require = text: condition: if condition then null else text;
  firstOf = problems: lib.findFirst (problem: problem != null) null problems;

  good =
    module: name: configuration:
    let
      inherit (evaluate module configuration) config;
    in
    firstOf [
      (require "refused: ${lib.concatStrings (failures config)}" (failures config == [ ]))
      (require "warns: ${lib.concatStrings config.warnings}" (config.warnings == [ ]))
      (builtins.seq (toplevel config) null)
    ];

  bad =
    name:
    {
      says,
      set ? { },
      also ? { },
    }:
    let
      inherit
        (evaluate self.nixosModules.default {
          imports = [ also ];
          services.cairn = {
            enable = true;
          }
          // set;
        })
        config
        ;
      messages = lib.filter (lib.hasPrefix "services.cairn") (failures config);
    in
    firstOf [
      (require "${toString (lib.length messages)} messages instead of one: ${lib.concatStrings messages}"
        (lib.length messages == 1)
      )
      (require "the message does not say \"${says}\": ${lib.concatStrings messages}" (
        lib.hasInfix says (lib.concatStrings messages)
      ))
      (require "the system evaluates all the same" (!(builtins.tryEval (toplevel config)).success))
    ];

  configOf = name: (evaluate self.nixosModules.default cases.good.${name}).config;
  full = configOf "full";
  linesOf = config: unit: lib.splitString "\n" config.systemd.units.${unit}.text;
  hasLines =
    unit: map (line: require "${unit} has no line ${line}" (lib.elem line (linesOf full unit)));
  hasNoLines =
    unit: map (line: require "${unit} has the line ${line}" (!lib.elem line (linesOf full unit)));
  unitsOf = config: lib.filter (lib.hasPrefix "cairn-") (lib.attrNames config.systemd.units);
  # All services but the one that stays.
  isJob = unit: lib.hasSuffix ".service" unit && unit != "cairn-serve.service";
  hasUnits =
    config: units:
    require "the units are ${toString (unitsOf config)}" (unitsOf config == lib.naturalSort units);
  cairn = lib.getExe full.services.cairn.package;

  # What differs between `nix/render` now and what is in the repository.
  rendered = import ./rendered.nix {
    inherit nixpkgs;
    inherit (pkgs.stdenv.hostPlatform) system;
  };
  folder = ../nixos-tests/bed/rendered;
  same =
    path: text:
    if lib.hasSuffix ".json" path then
      lib.importJSON (folder + "/${path}") == builtins.fromJSON text
    else
      lib.readFile (folder + "/${path}") == text;

  options = lib.optionAttrSetToDocList {
    inherit ((evaluate self.nixosModules.default { }).options.services) cairn;
  };
  undocumented = lib.filter (
    option:
    !option.internal
    && option.visible != false
    && ((option.description or "") == "" || !(option ? example))
  ) options;
in
lib.mapAttrs' (
  name: configuration:
  lib.nameValuePair "module-accepts-${name}" (
    check "module-accepts-${name}" (good self.nixosModules.default name configuration)
  )
) cases.good
// lib.mapAttrs' (
  name: case:
  lib.nameValuePair "module-refuses-${name}" (check "module-refuses-${name}" (bad name case))
) cases.bad
// {
  # As a channel user imports it: the directory, without the flake.
  module-without-flake = check "module-without-flake" (
    good ../modules "without-flake" cases.good.full
  );

  module-units = check "module-units" (
    firstOf (
      [
        (hasUnits full [
          "cairn-boot.service"
          "cairn-check-disk.service"
          "cairn-check-disk.timer"
          "cairn-heal.service"
          "cairn-heal.timer"
          "cairn-metrics.service"
          "cairn-metrics.timer"
          "cairn-point-before-work.service"
          "cairn-point-before-work.timer"
          "cairn-point-hourly.service"
          "cairn-point-hourly.timer"
          "cairn-prune-office.service"
          "cairn-prune-office.timer"
          "cairn-prune.service"
          "cairn-prune.timer"
          "cairn-push-disk.service"
          "cairn-push-disk.timer"
          "cairn-push-office.service"
          "cairn-push-office.timer"
          "cairn-serve.service"
          "cairn-switched.path"
          "cairn-switched.service"
          "cairn-verify.service"
          "cairn-verify.timer"
        ])
        (hasUnits (configOf "disabled") [ ])
        (hasUnits (configOf "nothing-around-switches") [
          "cairn-boot.service"
          "cairn-point-daily.service"
          "cairn-point-daily.timer"
          "cairn-prune.service"
          "cairn-prune.timer"
          "cairn-verify.service"
          "cairn-verify.timer"
        ])
        # Where a point was declared makes no difference.
        (hasUnits (configOf "from-a-file") [
          "cairn-boot.service"
          "cairn-point-nightly.service"
          "cairn-point-nightly.timer"
          "cairn-prune.service"
          "cairn-prune.timer"
          "cairn-switched.path"
          "cairn-switched.service"
          "cairn-verify.service"
          "cairn-verify.timer"
        ])
      ]
      # A switch neither restarts nor stops what runs.
      ++ lib.concatMap (
        unit:
        hasLines unit [
          "X-RestartIfChanged=false"
          "X-StopOnRemoval=false"
          "RequiresMountsFor=/persist/cairn"
          "Type=oneshot"
          "Environment=\"NIX_REMOTE=daemon\""
        ]
      ) (lib.filter isJob (unitsOf full))
      # Nor does it leave anything that goes on when the module is turned off.
      ++ lib.concatMap (unit: hasNoLines unit [ "X-StopOnRemoval=false" ]) (
        lib.filter (unit: !isJob unit) (unitsOf full)
      )
      ++ hasLines "cairn-point-before-work.timer" [
        "OnCalendar=Mon..Fri 07:30"
        "Persistent=true"
        "RandomizedDelaySec=0"
      ]
      ++ hasLines "cairn-point-before-work.service" [
        "RequiresMountsFor=/var/lib/shop"
        "ProtectSystem=strict"
        "ProtectHome=read-only"
        "ReadWritePaths=/persist/cairn"
        "ReadWritePaths=/nix/var/nix/gcroots/cairn"
        ''ExecStart="${cairn}" "--state-dir" "/persist/cairn" "create" "--trigger" "schedule:before-work" "--reason" "50%% of \"all\" $$work starts"''
      ]
      # It captures all state, so it runs the user's commands.
      ++ hasLines "cairn-point-hourly.service" [ "RequiresMountsFor=/var/lib/postgresql" ]
      ++ hasNoLines "cairn-point-hourly.service" [ "ProtectSystem=strict" ]
      ++ hasLines "cairn-prune.service" [
        ''ExecStart="${cairn}" "--state-dir" "/persist/cairn" "prune" "--yes"''
        "ReadWritePaths=/nix/var/nix/profiles"
      ]
      ++ hasLines "cairn-verify.service" [
        ''ExecStart="${cairn}" "--state-dir" "/persist/cairn" "verify" "--read-data"''
        "ProtectSystem=strict"
      ]
      ++ hasLines "cairn-push-office.service" [
        ''ExecStart="${cairn}" "--state-dir" "/persist/cairn" "remote" "push" "office" "--password-file" "/run/credentials/cairn-push-office.service/password" "--environment-file" "/run/credentials/cairn-push-office.service/environment"''
        "LoadCredential=password:/run/secrets/backup"
        "LoadCredential=environment:/run/secrets/backup-server"
        "ProtectSystem=strict"
        "After=network-online.target"
      ]
      ++ hasLines "cairn-push-disk.service" [
        "PrivateNetwork=true"
        "ReadWritePaths=-/mnt/disk/copies"
        "RequiresMountsFor=/mnt/disk/copies"
        "ReadWritePaths=-/mnt/disk/store"
        "RequiresMountsFor=/mnt/disk/store"
        ''Environment="XDG_STATE_HOME=/tmp"''
        ''Environment="XDG_CACHE_HOME=/tmp"''
        ''Environment="NIX_REMOTE=daemon"''
      ]
      ++ hasLines "cairn-prune-office.service" [
        ''ExecStart="${cairn}" "--state-dir" "/persist/cairn" "remote" "prune" "office" "--yes" "--password-file" "/run/credentials/cairn-prune-office.service/password" "--environment-file" "/run/credentials/cairn-prune-office.service/environment"''
        "LoadCredential=password:/run/secrets/backup"
        "ProtectSystem=strict"
      ]
      ++ hasLines "cairn-prune-office.timer" [ "OnCalendar=weekly" ]
      ++ hasLines "cairn-check-disk.service" [
        "PrivateNetwork=true"
        "ReadWritePaths=-/mnt/disk/copies"
      ]
      ++ hasNoLines "cairn-check-disk.service" [ "ReadWritePaths=-/mnt/disk/store" ]
      ++ hasLines "cairn-check-disk.timer" [ "OnCalendar=Sun 05:00" ]
      ++ hasLines "cairn-metrics.service" [
        ''ExecStart="${cairn}" "--state-dir" "/persist/cairn" "metrics" "--textfile" "/var/lib/prometheus-node-exporter/cairn.prom"''
        "PrivateNetwork=true"
      ]
      ++ hasLines "cairn-serve.service" [
        ''ExecStart="${cairn}" "--state-dir" "/persist/cairn" "serve" "--listen" "127.0.0.1:9469"''
        "IPAddressDeny=any"
        "Type=exec"
      ]
      ++ hasLines "cairn-push-disk.timer" [ "OnCalendar=hourly" ]
      ++ hasLines "cairn-switched.path" [ "PathChanged=/run/nixos/switch-to-configuration.lock" ]
      ++ hasLines "cairn-switched.service" [
        ''ExecStart="${cairn}" "--state-dir" "/persist/cairn" "hook" "switched"''
        "StartLimitIntervalSec=0"
        "TimeoutStartSec=infinity"
      ]
      ++ hasNoLines "cairn-switched.service" [ "ProtectSystem=strict" ]
      ++ hasLines "cairn-boot.service" [
        ''ExecStart="${cairn}" "--state-dir" "/persist/cairn" "hook" "boot"''
        "ConditionPathExists=!/run/nixos/switch-to-configuration.lock"
      ]
      ++ hasNoLines "cairn-boot.service" [ "ProtectSystem=strict" ]
    )
  );

  module-hook = check "module-hook" (
    let
      hookOf = name: (configOf name).system.preSwitchChecks.cairn or null;
      bare = builtins.unsafeDiscardStringContext;
      policyOf = name: bare (configOf name).environment.etc."cairn/policy.json".source;
      isIn = name: text: lib.hasInfix text (bare (hookOf name));
    in
    firstOf [
      (require "it is there without the module" (hookOf "disabled" == null))
      (require "it is there with nothing to do" (hookOf "nothing-around-switches" == null))
      (require "it acts on other actions than switch, test and boot" (
        isIn "minimal" "switch | test | boot)"
      ))
      (require "it acts without a current system" (isIn "minimal" "if [ -e /run/current-system ]"))
      (require "it has another policy than /etc" (
        isIn "minimal" ''/bin/cairn --policy ${policyOf "minimal"} hook pre-switch "$1" "$2" ||''
      ))
      (require "it refuses a switch" (!isIn "minimal" "exit 1"))
      (require "it lets a switch through" (isIn "full" "exit 1"))
      (require "it does not have the policy's time" (isIn "full" "/bin/timeout --kill-after=5 45 "))
      (require "it does not have the policy file's time" (
        isIn "from-a-file" "/bin/timeout --kill-after=5 90 "
      ))
    ]
  );

  # The unit of `system.autoUpgrade` runs nixos-rebuild, which runs the hook. No
  # switch that it makes restarts it, and the watcher is no part of it.
  module-auto-upgrade = check "module-auto-upgrade" (
    let
      config = configOf "auto-upgrade";
      upgrade = config.systemd.services.nixos-upgrade;
      plain = (evaluate self.nixosModules.default { system.autoUpgrade.enable = true; }).config;
      script = service: builtins.unsafeDiscardStringContext service.script;
    in
    firstOf [
      (require "it does not run nixos-rebuild" (lib.hasInfix "nixos-rebuild switch" (script upgrade)))
      (require "the module changes its unit" (
        script upgrade == script plain.systemd.services.nixos-upgrade
        && upgrade.environment ? NIXOS_NO_CHECK == false
      ))
      (require "a switch cuts it off" (!upgrade.restartIfChanged))
      (require "there is no hook" (config.system.preSwitchChecks ? cairn))
    ]
  );

  module-boot-gate = check "module-boot-gate" (
    let
      counting = configOf "boot-counting";
      older = configOf "no-boot-counting";
      requires = config: config.systemd.services.cairn-boot.requiredBy;
      loader = counting.boot.loader.systemd-boot;
      # Only the newest releases count.
      knows = loader ? bootCounting;
    in
    firstOf [
      (require "boots are judged unasked" (requires (configOf "minimal") == [ ]))
      (require "boot-complete.target does not wait" (
        requires counting == [ "boot-complete.target" ]
        && counting.systemd.services.cairn-boot.before == [ "boot-complete.target" ]
      ))
      (require "entries are not counted" (
        !knows || (loader.bootCounting.enable && loader.bootCounting.tries == 2)
      ))
      (require "older releases lack the units" (
        lib.all (unit: lib.elem unit older.systemd.additionalUpstreamSystemUnits) [
          "boot-complete.target"
          "systemd-bless-boot.service"
        ]
      ))
    ]
  );

  module-pins = check "module-pins" (
    require "the declared pin has no link" (
      full.systemd.tmpfiles.settings."10-cairn"."/nix/var/nix/gcroots/cairn/declared/last-year"."L+".argument
      == "/nix/store/00000000000000000000000000000000-nixos-system-machine-25.11"
    )
  );

  # `nix/render` would write what is there.
  rendered = check "rendered" (
    let
      differing = lib.attrNames (
        lib.filterAttrs (
          path: text: !lib.pathExists (folder + "/${path}") || !same path text
        ) rendered.fixtures
      );
      present = map (path: lib.removePrefix "${toString folder}/" (toString path)) (
        lib.filesystem.listFilesRecursive folder
      );
      extra = lib.subtractLists (lib.attrNames rendered.fixtures ++ [ "sources.sha256" ]) present;
    in
    firstOf [
      (require "docs/options.md is out of date: run nix/render" (
        lib.readFile ../docs/options.md == rendered.options
      ))
      (require
        "nixos-tests/bed/rendered is out of date: run nix/render (${toString (differing ++ extra)})"
        (differing ++ extra == [ ])
      )
    ]
  );

  # The program's own tests read the same files.
  module-policy = check "module-policy" (
    firstOf (
      lib.mapAttrsToList (
        name: settings:
        require "the policy of ${name} is ${builtins.toJSON settings}: run nix/render" (
          settings == lib.importJSON (../tests/fixtures + "/policy-${name}.json")
        )
      ) rendered.policies
    )
  );

  module-options = check "module-options" (
    require "no description or no example: ${toString (map (option: option.name) undocumented)}" (
      undocumented == [ ]
    )
  );

  template = check "template" (
    let
      system =
        ((import ../templates/default/flake.nix).outputs {
          inherit nixpkgs;
          cairn = self;
        }).nixosConfigurations.machine.config;
    in
    builtins.seq (toplevel system) null
  );
}
