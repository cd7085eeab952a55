# Every Nix file is as `nix fmt` would leave it.
{
  lib,
  runCommand,
  nixfmt,
}:

runCommand "cairn-formatting"
  {
    nativeBuildInputs = [ nixfmt ];
    src = lib.fileset.toSource {
      root = ../.;
      fileset = lib.fileset.fileFilter (file: file.hasExt "nix") ../.;
    };
  }
  ''
    find "$src" -name '*.nix' -print0 | xargs -0 nixfmt --check
    touch "$out"
  ''
