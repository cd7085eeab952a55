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

  full = (evaluate self.nixosModules.default cases.good.full).config;
  hasLines =
    unit: lines:
    let
      text = lib.splitString "\n" full.systemd.units.${unit}.text;
    in
    map (line: require "${unit} has no line ${line}" (lib.elem line text)) lines;
  cairnUnits = lib.filter (lib.hasPrefix "cairn-") (lib.attrNames full.systemd.units);

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
        (require "the units are ${toString cairnUnits}" (
          cairnUnits == [
            "cairn-point-before-work.service"
            "cairn-point-before-work.timer"
            "cairn-point-hourly.service"
            "cairn-point-hourly.timer"
            "cairn-prune.service"
            "cairn-prune.timer"
          ]
        ))
      ]
      ++ hasLines "cairn-point-before-work.timer" [
        "OnCalendar=Mon..Fri 07:30"
        "Persistent=true"
        "RandomizedDelaySec=0"
      ]
      ++ hasLines "cairn-point-before-work.service" [
        "X-RestartIfChanged=false"
        "X-StopOnRemoval=false"
        "RequiresMountsFor=/persist/cairn"
        "Type=oneshot"
        "ProtectSystem=strict"
        "ProtectHome=read-only"
        "ReadWritePaths=/persist/cairn"
        "ReadWritePaths=/nix/var/nix/gcroots/cairn"
        ''ExecStart="${lib.getExe full.services.cairn.package}" "--state-dir" "/persist/cairn" "create" "--trigger" "schedule:before-work" "--reason" "50%% of \"all\" $$work starts"''
      ]
      ++ hasLines "cairn-prune.service" [
        ''ExecStart="${lib.getExe full.services.cairn.package}" "--state-dir" "/persist/cairn" "prune" "--yes"''
        "ReadWritePaths=/nix/var/nix/profiles"
        "X-RestartIfChanged=false"
      ]
    )
  );

  # The program's own tests read the same files.
  module-policy = check "module-policy" (
    firstOf (
      map
        (
          name:
          let
            inherit ((evaluate self.nixosModules.default cases.good.${name}).config.services.cairn) settings;
          in
          require "the policy of ${name} is ${builtins.toJSON settings}" (
            settings == lib.importJSON (../tests/fixtures + "/policy-${name}.json")
          )
        )
        [
          "minimal"
          "full"
          "nothing-by-the-clock"
        ]
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
