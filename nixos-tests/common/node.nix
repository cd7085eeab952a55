# A machine as nixos-rebuild leaves one, which test machines are not by
# themselves: it can switch, and it has a configuration and a system profile.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  imports = [ ../../modules ];

  services.cairn = {
    enable = true;
    # Nothing happens by the clock but what a test asks for.
    points = lib.mkDefault { };
    retention.schedule = lib.mkDefault null;
    verify.schedule = lib.mkDefault null;
    # Nor does anything happen around a switch: see watched.nix.
    preSwitch.enable = lib.mkDefault false;
    gate.enable = lib.mkDefault false;
  };

  system.switch.enable = true;
  # Nothing to install where machines boot by direct kernel start.
  system.build.installBootLoader = lib.mkIf (!config.virtualisation.useBootLoader) (
    lib.mkForce (lib.getExe' pkgs.coreutils "true")
  );

  # Nothing may be fetched or asked for: all that a test needs is in its store.
  nix.settings.substituters = lib.mkForce [ ];
  virtualisation.writableStore = true;
  virtualisation.vlans = [ ];

  environment.systemPackages = [ pkgs.jq ];

  systemd.services.test-machine-setup = {
    description = "Give the test machine a configuration and a system profile";
    wantedBy = [ "multi-user.target" ];
    # Once: a switch to another system must not set the profile again.
    restartIfChanged = false;
    unitConfig.ConditionPathExists = "!/nix/var/nix/profiles/system";
    path = [ pkgs.nix ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
    };
    script = ''
      nix-env -p /nix/var/nix/profiles/system --set "$(readlink -f /run/current-system)"
      install -d /etc/nixos
      echo '{ networking.hostName = "before"; }' > /etc/nixos/configuration.nix
      install -m 0600 /dev/stdin /etc/nixos/secret.nix <<< '"token"'
    '';
  };
}
