# What can't work, said before anything is built. Each message says the fix.
# What is looked at is the effective policy, so that it doesn't matter whether
# an option, the policy file or the settings say it.
{
  imports = [
    ./places.nix
    ./points.nix
    ./state.nix
    ./gates.nix
    ./health.nix
    ./heal.nix
    ./notify.nix
    ./remotes.nix
  ];
}
