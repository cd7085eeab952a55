# The NixOS module `services.cairn`.
#
# The module only declares: it writes the policy, the units that run `cairn`
# at the right moments, and the directories they need. Nothing stays resident.
{
  imports = [
    ./options.nix
    ./policy.nix
    ./services.nix
    ./assertions.nix
  ];
}
