#!/usr/bin/env bash
# Builds every generation of systems.nix with the Nix of the base tree, into a
# layer over it, and lists them in LAYER/systems as lines "set name path".
#
#   layer.sh BASE LAYER
#
# LAYER appears whole or not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

base=$1 layer=$2
new=$layer.new
rm -rf "$new"
mkdir -p "$new/upper/root/bed"
cp -r "$here/systems.nix" "$here/systems" "$here/rendered" "$new/upper/root/bed/"
chmod 0700 "$new/upper/root"

# shellcheck disable=SC2016 # expanded in the tree
"$here/launch.sh" "$new" "$base" run /bin/bash -euc '
  cd /root/bed
  nix-instantiate --eval --strict --json -A paths systems.nix >paths.json
  nix-build --quiet --no-out-link systems.nix -A all >built
  nix-store --verify >/dev/null 2>&1
' >&2
mv "$new/upper/root/bed/paths.json" "$new/paths.json"
rm -rf "$new/upper/root/bed" "$new/work" "$new/root"
mv -T "$new" "$layer"
