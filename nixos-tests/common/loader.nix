# A machine that boots by systemd-boot from a disk of its own, so that the next
# boot follows the boot loader, and a reboot keeps what was written.
{
  imports = [ ./watched.nix ];
  virtualisation.useBootLoader = true;
  virtualisation.useEFIBoot = true;
  boot.loader.systemd-boot.enable = true;
  boot.loader.efi.canTouchEfiVariables = true;
  boot.initrd.systemd.enable = true;
  # The boot loader's entries carry it, so it must outlive a reboot.
  environment.etc."machine-id".text = "1234567890abcdef1234567890abcdef\n";
}
