//! (layer nix)
