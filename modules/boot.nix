# After a boot: points taken at boot, what a power cut left of a switch, and,
# when boots are judged, the word that the boot loader waits for.
{
  config,
  options,
  lib,
  pkgs,
  utils,
  ...
}@args:

let
  cfg = config.services.cairn;
  parts = import ./parts.nix args;
  judged = parts.bootGate.enable;

  loader = options.boot.loader.systemd-boot;
  counts = judged && config.boot.loader.systemd-boot.enable;
in
{
  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        systemd.services.cairn-boot = parts.job {
          description = "Look at what the boot came to";
          wantedBy = [ "multi-user.target" ];
          requiredBy = lib.optional judged "boot-complete.target";
          before = lib.optional judged "boot-complete.target";
          # Last, and so never what others wait for.
          after = [
            "local-fs.target"
            "multi-user.target"
          ];
          args = [
            "hook"
            "boot"
          ];
          # Every switch starts what multi-user.target wants and what is not
          # running. The first switch since the boot makes this file, so that
          # nothing of this runs in the middle of one.
          unitConfig.ConditionPathExists = "!/run/nixos/switch-to-configuration.lock";
          serviceConfig = parts.open // {
            TimeoutStartSec = "infinity";
          };
        };
      }
      (lib.mkIf counts (
        if loader ? bootCounting then
          {
            boot.loader.systemd-boot.bootCounting = {
              enable = lib.mkDefault true;
              tries = lib.mkDefault parts.bootGate.attempts;
            };
          }
        else
          {
            # Releases whose builder writes no counters lack these as well. They
            # bless entries that were given one by hand or another tool.
            systemd.additionalUpstreamSystemUnits = [
              "boot-complete.target"
              "systemd-bless-boot.service"
            ];
          }
      ))
    ]
  );
}
