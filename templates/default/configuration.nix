{
  # A point before every switch and one each day; bad switches are taken back.
  services.cairn = {
    enable = true;
    points.daily.schedule = "daily";
    points.boot.trigger = "boot";
    gate.window = "1min";
    retention.points.keepMonthly = 12;
  };

  # Placeholders: import your own hardware-configuration.nix in their place.
  nixpkgs.hostPlatform = "x86_64-linux";
  fileSystems."/".device = "/dev/disk/by-label/nixos";
  fileSystems."/".fsType = "ext4";
  boot.loader.systemd-boot.enable = true;

  networking.hostName = "machine";
  system.stateVersion = "26.05";
}
