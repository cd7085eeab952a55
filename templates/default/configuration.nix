{
  services.cairn = {
    enable = true;
    points.daily.schedule = "daily";
    points.weekly = {
      schedule = "Sun 03:00";
      reason = "the weekly point";
    };
    retention.points.keepMonthly = 12;
  };

  # Placeholders: import your own hardware-configuration.nix in their place.
  nixpkgs.hostPlatform = "x86_64-linux";
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };
  boot.loader.systemd-boot.enable = true;

  networking.hostName = "machine";
  system.stateVersion = "26.05";
}
