{
  description = "Restore points for NixOS: system, configuration and state together";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in
    {
      packages = forEachSystem (pkgs: rec {
        default = cairn;
        cairn = pkgs.callPackage ./package.nix { };
      });

      apps = forEachSystem (
        pkgs:
        let
          cairn = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        in
        {
          default = {
            type = "app";
            program = lib.getExe cairn;
            inherit (cairn) meta;
          };
          # From an installer: nix run <this flake>#restore -- --root /mnt latest-good
          restore = {
            type = "app";
            program = lib.getExe (
              pkgs.writeShellScriptBin "cairn-restore" ''
                exec ${lib.getExe cairn} restore "$@"
              ''
            );
            meta.description = "Restore a point of a NixOS system";
          };
        }
      );

      overlays.default = final: _: { cairn = final.callPackage ./package.nix { }; };

      nixosModules = {
        default = self.nixosModules.cairn;
        # Machines built from this flake get the package as it is locked and
        # checked here, not one built with their own compiler.
        cairn =
          { pkgs, ... }:
          {
            key = "cairn#nixosModules.cairn";
            imports = [ ./modules ];
            services.cairn.package =
              lib.mkOverride 1400
                self.packages.${pkgs.stdenv.hostPlatform.system}.default;
          };
      };

      checks = forEachSystem (
        pkgs:
        let
          inherit (pkgs.stdenv.hostPlatform) system;
        in
        {
          package = self.packages.${system}.default;
          formatting = pkgs.callPackage ./nix/formatting.nix { };
        }
        // import ./nix/module-checks.nix { inherit self nixpkgs pkgs; }
        // import ./nix/vm-tests.nix { inherit pkgs; }
      );

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ self.packages.${pkgs.stdenv.hostPlatform.system}.default ];
          packages = with pkgs; [
            acl
            attr
            clippy
            git
            jq
            nixfmt
            patch
            restic
            rust-analyzer
            rustfmt
            shellcheck
          ];
          env.RUST_SRC_PATH = pkgs.rustPlatform.rustLibSrc;
        };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);

      templates.default = {
        path = ./templates/default;
        description = "A NixOS machine with restore points";
        welcomeText = ''
          Put your own `hardware-configuration.nix` beside `flake.nix`, import it
          in place of the placeholders in `configuration.nix`, and switch:

              nixos-rebuild switch --flake .#machine
        '';
      };
    };
}
