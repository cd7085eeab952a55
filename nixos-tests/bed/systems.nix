# The generations of the bed: NixOS systems in miniature, built without nixpkgs
# by the Nix of the base tree. Each set holds the same generations: without
# cairn, with it, and with other policies.
let
  variants = import ./systems/variants.nix;
  cairn = import ./systems/cairn.nix;

  sets = {
    plain = variants { parts = cairn.absent; };
    cairn = variants { parts = cairn.over { }; };
    # No point, no switch.
    required = variants { parts = cairn.over { preSwitch.required = true; }; };
  };

  recurse = value: value // { recurseForDerivations = true; };
in
{
  all = recurse (builtins.mapAttrs (_: recurse) sets);
  paths = builtins.mapAttrs (_: builtins.mapAttrs (_: system: "${system}")) sets;
}
