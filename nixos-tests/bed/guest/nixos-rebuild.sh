#!/bin/sh
# `nixos-rebuild` from where the system is built: the same steps in the same
# order, and the exit code of switch-to-configuration.
#
#   nixos-rebuild switch|boot|test|dry-activate TOPLEVEL [SPECIALISATION]
set -eu
action=$1 toplevel=$2 specialisation=${3:-}

test -f "$toplevel/nixos-version"
case $action in
  switch | boot) nix-env -p /nix/var/nix/profiles/system --set "$toplevel" ;;
esac
[ -z "$specialisation" ] || toplevel=$toplevel/specialisation/$specialisation

exec systemd-run -E LOCALE_ARCHIVE -E NIXOS_INSTALL_BOOTLOADER -E NIXOS_NO_CHECK \
  --collect --no-ask-password --pipe --quiet --service-type=exec \
  --unit=nixos-rebuild-switch-to-configuration \
  "$toplevel/bin/switch-to-configuration" "$action"
