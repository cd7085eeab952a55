#!/usr/bin/env bash
# Makes the disks of a machine with firmware, from a tree that is put together:
#
#   disks.sh ROOT ESP BED
#
#   BED/root.img   the tree, as an ext4 file system without partitions
#   BED/esp.img    a disk with one partition: ESP, and the /boot of the tree
#   BED/vars.fd    what the firmware remembers: nothing yet
#
# Needs mkfs.ext4, sfdisk, mtools and OVMF.
set -euo pipefail

root=$1 esp=$2 bed=$3
export MTOOLS_SKIP_CHECK=1

truncate -s 2G "$bed/root.img"
mkfs.ext4 -q -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 -O ^metadata_csum \
  -d "$root" "$bed/root.img"

start=2048 # sectors of 512 bytes
truncate -s 129M "$bed/esp.img"
sfdisk -q "$bed/esp.img" <<TABLE
label: gpt
start=$start, size=128M, type=uefi
TABLE
partition=$bed/esp.img@@$((start * 512))
mformat -i "$partition" -F -T $((128 * 2048)) -h 64 -s 32 ::
mcopy -i "$partition" -s -Q "$esp/EFI" "$root/boot/loader" ::
cp /usr/share/OVMF/OVMF_VARS_4M.fd "$bed/vars.fd"
