# Links that hold on to store paths: the folder for those that points make, and
# one link for each declared pin. tmpfiles makes them at boot and at a switch.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}@args:

let
  cfg = config.services.cairn;
  parts = import ./parts.nix args;

  folder.d = {
    mode = "0755";
    user = "root";
    group = "root";
  };
  declared = "${parts.pinDir}/declared";
in
{
  config = lib.mkIf cfg.enable {
    systemd.tmpfiles.settings."10-cairn" = {
      ${parts.pinDir} = folder;
      ${declared} = folder;
    }
    // lib.mapAttrs' (
      name: path: lib.nameValuePair "${declared}/${name}" { "L+".argument = path; }
    ) parts.pins;
  };
}
