#!/usr/bin/env bash
# Makes what a machine with firmware needs beside the base tree:
#
#   firmware.sh DIRECTORY
#
#   DIRECTORY/upper      a layer over the base tree: boot assessment, an agent
#   DIRECTORY/esp        the boot loader, a kernel and its initial RAM disk, as
#                        they lie on the EFI system partition
#
# Needs root, mmdebstrap and a Debian mirror. DIRECTORY appears whole or not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

into=${1:?where it goes}
new=$into.new
mirror=${CAIRN_BED_MIRROR:-http://deb.debian.org/debian}
packages=linux-image-cloud-amd64,systemd-boot,systemd-boot-efi,busybox-static

rm -rf "$new"
mkdir -p "$new"

# Unpacked and never installed: nothing of it touches this machine's /boot.
mmdebstrap --quiet --variant=extract --include="$packages" --components=main \
  --dpkgopt='path-exclude=/usr/share/*' \
  --aptopt='APT::Install-Recommends "false"' \
  --aptopt='Acquire::Retries "3"' \
  trixie "$new/debian" "$mirror"
debian=$new/debian

# The layer.
systemd=$new/upper/usr/lib/systemd
mkdir -p "$systemd"/{system,system-generators} "$new/upper/opt/bed"
cp "$debian"/usr/lib/systemd/systemd-bless-boot "$systemd"
cp "$debian"/usr/lib/systemd/system/{boot-complete.target,systemd-bless-boot.service} "$systemd/system"
cp "$debian"/usr/lib/systemd/system-generators/systemd-bless-boot-generator "$systemd/system-generators"
cp "$debian"/usr/bin/bootctl "$new/upper/opt/bed"
cp "$here/firmware/agent.sh" "$new/upper/opt/bed/agent"
cp "$here/firmware/bed-agent.service" "$systemd/system"
mkdir "$systemd/system/multi-user.target.wants"
ln -s ../bed-agent.service "$systemd/system/multi-user.target.wants"

# The initial RAM disk: drivers, mounts, and on to `init=`.
ram=$new/ram
mkdir -p "$ram"/{bin,modules,dev,proc,sys,root}
cp "$debian/usr/bin/busybox" "$ram/bin"
cp "$here/firmware/init.sh" "$ram/init"
for module in virtio_blk fat vfat nls_ascii nls_cp437 nls_iso8859-1 efivarfs veth; do
  file=$(find "$debian/usr/lib/modules" -name "$module.ko.xz" -print -quit)
  "$ram/bin/busybox" xzcat "$file" >"$ram/modules/$module.ko"
done

mkdir -p "$new/esp/EFI"/{BOOT,nixos}
cp "$debian/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$new/esp/EFI/BOOT/BOOTX64.EFI"
cp "$debian"/boot/vmlinuz-* "$new/esp/EFI/nixos/linux.efi"
(cd "$ram" && find . | bin/busybox cpio -o -H newc -R 0:0) 2>/dev/null | gzip -1 >"$new/esp/EFI/nixos/initrd.efi"

rm -rf "$debian" "$ram"
mv -T "$new" "$into"
