# The NixOS module `services.cairn`.
#
# The module only declares: it writes the policy, the units and the hook that
# run `cairn` at the right moments, and the directories and links they need.
# Nothing stays resident.
{
  imports = [
    ./options
    ./policy.nix
    ./services.nix
    ./remotes.nix
    ./metrics.nix
    ./hooks.nix
    ./heal.nix
    ./boot.nix
    ./pins.nix
    ./assertions
  ];
}
