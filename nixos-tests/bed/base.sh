#!/usr/bin/env bash
# Makes the base tree of the bed: a Debian with real systemd, D-Bus and Nix,
# and nothing in /etc/systemd/system, which belongs to the generations.
#
#   base.sh DIRECTORY
#
# Needs root, mmdebstrap and a Debian mirror. DIRECTORY appears whole or not.
set -euo pipefail

tree=${1:?where the tree goes}
new=$tree.new
mirror=${CAIRN_BED_MIRROR:-http://deb.debian.org/debian}
packages=systemd,dbus,nix-bin,iproute2,iputils-ping,python3-minimal,git

# What an earlier run left that was stopped: mounts first.
if [[ -e $new ]]; then
  awk -v below="$new/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo |
    sort -r | while IFS= read -r mount; do umount -l "$mount"; done
  rm -rf --one-file-system "$new"
fi

mmdebstrap --quiet --variant=essential --include="$packages" \
  --components=main \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='force-unsafe-io' \
  --aptopt='Acquire::Retries "3"' \
  trixie "$new" "$mirror"

cd "$new"
rm -rf etc/systemd/system etc/systemd/system.conf var/lib/apt/lists var/cache/apt
for unit in getty.target systemd-logind.service systemd-user-sessions.service \
  systemd-ask-password-wall.path systemd-ask-password-console.path \
  systemd-creds.socket systemd-hostnamed.socket systemd-initctl.socket \
  systemd-pcrextend.socket systemd-pcrlock.socket systemd-sysext.socket \
  ldconfig.service systemd-binfmt.service systemd-firstboot.service \
  systemd-hibernate-clear.service systemd-journal-catalog-update.service \
  systemd-machine-id-commit.service systemd-pcrmachine.service \
  systemd-pcrphase-sysinit.service systemd-pcrphase.service \
  systemd-random-seed.service systemd-sysusers.service \
  systemd-tpm2-setup-early.service systemd-tpm2-setup.service \
  systemd-update-done.service kmod-static-nodes.service \
  proc-sys-fs-binfmt_misc.automount systemd-modules-load.service; do
  rm -f usr/lib/systemd/system/*.wants/"$unit"
done
mkdir -p var/lib/app opt/bed/bin opt/cairn/bin boot/loader/entries etc/nixos etc/nix nix/store root/.cache
mkdir -p nix/var/nix/{profiles/per-user,gcroots}
echo 0123456789abcdef0123456789abcdef >etc/machine-id
echo bed >etc/hostname
: >etc/NIXOS
rm -f etc/resolv.conf
cat >etc/nix/nix.conf <<'CONF'
build-users-group =
sandbox = false
substituters =
experimental-features = nix-command
CONF
cat >etc/nixos/configuration.nix <<'CONF'
{
  imports = [ ./hardware-configuration.nix ];
  services.cairn.enable = true;
}
CONF
echo 'rows' >var/lib/app/data
echo '{ }' >etc/nixos/hardware-configuration.nix

# Newer than /usr, or the first boot would do what follows an update.
touch usr
touch etc/.updated var/.updated
cd /
chmod 0755 "$new"
mv -T "$new" "$tree"
