{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
  inputs.cairn.url = "github:cairn-nix/cairn";

  outputs =
    { nixpkgs, cairn, ... }:
    {
      nixosConfigurations.machine = nixpkgs.lib.nixosSystem {
        modules = [
          cairn.nixosModules.default
          ./configuration.nix
        ];
      };
    };
}
