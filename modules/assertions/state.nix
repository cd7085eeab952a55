# State sets and declared pins.
{ config, lib, ... }:

let
  cfg = config.services.cairn;
  names = import ../names.nix { inherit lib; };
  inherit (import ./checks.nix { inherit lib; })
    isCommand
    isPlainPath
    isWithin
    isWithinAny
    namesWhere
    quote
    ;

  inherit (cfg.settings) state pins;

  # "<set>: <value>" for each value of a list of a set that is wrong.
  wrong =
    list: isWrong:
    lib.concatLists (
      lib.mapAttrsToList (
        name: set: map (value: "${name}: ${value}") (lib.filter (isWrong set) (set.${list} or [ ]))
      ) state
    );

  badNames = namesWhere (name: _: !names.isValid name) state;
  empty = namesWhere (_: set: (set.paths or [ ]) == [ ]) state;
  badPaths = wrong "paths" (_: path: !isPlainPath path || isWithin "/nix/store" path);
  overlapping = wrong "paths" (
    set: path:
    isWithin cfg.stateDir path
    || (isWithin path cfg.stateDir && !isWithinAny (set.exclude or [ ]) cfg.stateDir)
  );
  badExcludes = wrong "exclude" (
    set: path: !isPlainPath path || !isWithinAny (set.paths or [ ]) path
  );
  badUnits = wrong "units" (
    _: unit:
    lib.match "[a-zA-Z0-9:_.@\\-]+[.](service|socket|target|timer|path|mount|slice|scope)" unit == null
  );
  badCommands =
    lib.concatMap
      (
        moment:
        map (name: "${name}.${moment}") (
          namesWhere (_: set: (set.${moment} or null) != null && !isCommand set.${moment}) state
        )
      )
      [
        "before"
        "after"
        "version"
      ];

  badPinNames = namesWhere (name: _: !names.isValid name) pins;
  badPins = namesWhere (
    _: path: lib.match "/nix/store/[0-9a-df-np-sv-z]{32}-[a-zA-Z0-9+._?=-]+" path == null
  ) pins;
in
{
  config.assertions = lib.mkIf cfg.enable [
    {
      assertion = badNames == [ ];
      message = ''
        services.cairn.state has the name ${quote badNames}. Rename it: ${names.says}.
      '';
    }
    {
      assertion = empty == [ ];
      message = ''
        services.cairn.state has no paths for ${quote empty}. Name at least one file or directory, or remove the set.
      '';
    }
    {
      assertion = badPaths == [ ];
      message = ''
        services.cairn.state has the paths ${quote badPaths}. Write absolute paths below "/" and outside the store, without "..", a final "/", spaces or special characters, such as "/var/lib/app".
      '';
    }
    {
      assertion = overlapping == [ ];
      message = ''
        services.cairn.state has the paths ${quote overlapping}, and stateDir is "${cfg.stateDir}": points would hold points. Move one out of the other, or name it in exclude.
      '';
    }
    {
      assertion = badExcludes == [ ];
      message = ''
        services.cairn.state excludes ${quote badExcludes}, which is not below a path of its set. Write an absolute path below one, such as "/var/lib/app/cache".
      '';
    }
    {
      assertion = badUnits == [ ];
      message = ''
        services.cairn.state has the units ${quote badUnits}. Write whole names of units, such as "app.service".
      '';
    }
    {
      assertion = badCommands == [ ];
      message = ''
        services.cairn.state has the commands ${quote badCommands} without a program's whole path. Write one, such as [ (lib.getExe pkgs.sqlite) "…" ], or null for none.
      '';
    }
    {
      assertion = badPinNames == [ ];
      message = ''
        services.cairn.pins has the name ${quote badPinNames}. Rename it: ${names.says}.
      '';
    }
    {
      assertion = badPins == [ ];
      message = ''
        services.cairn.pins has something else than a store path for ${quote badPins}. Name what is right below /nix/store, whole, such as the output of: readlink -f /run/current-system.
      '';
    }
  ];
}
