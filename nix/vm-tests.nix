# The virtual machine tests: each file of nixos-tests/ becomes the check
# `vm-<file name>`. Each holds one promise.
{ pkgs }:

let
  inherit (pkgs) lib;
  files = lib.filterAttrs (name: kind: kind == "regular" && lib.hasSuffix ".nix" name) (
    builtins.readDir ../nixos-tests
  );
in
lib.mapAttrs' (
  file: _:
  lib.nameValuePair "vm-${lib.removeSuffix ".nix" file}" (
    pkgs.testers.runNixOSTest (../nixos-tests + "/${file}")
  )
) files
