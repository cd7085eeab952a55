#!/usr/bin/env bash
# Puts a bed's tree together and boots it, or runs one command: in it while it
# is off, or beside it (then ROOT names the tree, as a rescue system would find
# it mounted); or writes it to the disks of a machine with firmware. The mounts
# are in a namespace of their own: they go with the process.
#
#   launch.sh BED LOWER boot [NSPAWN-OPTION...]
#   launch.sh BED LOWER run COMMAND...
#   launch.sh BED LOWER beside COMMAND...
#   launch.sh BED LOWER disks ESP
#
# BED is the bed's directory, LOWER the overlay's lower directories. CGROUPS
# names the control groups to run in, by colons.
set -euo pipefail

if [[ ${BED_MOUNTS_PRIVATE:-} != 1 ]]; then
  IFS=: read -ra groups <<<"${CGROUPS:-}"
  for group in "${groups[@]}"; do
    mkdir -p "$group"
    echo $$ >"$group/cgroup.procs"
  done
  BED_MOUNTS_PRIVATE=1 exec unshare --mount --propagation private "$0" "$@"
fi

bed=$1 lower=$2 verb=$3
shift 3
root=$bed/root
mkdir -p "$bed"/{upper,work,root}
mount -t overlay bed -o "lowerdir=$lower,upperdir=$bed/upper,workdir=$bed/work" "$root"
unset BED_MOUNTS_PRIVATE CGROUPS

# What the boot loader would start: the entry chosen for once, or the default.
init() {
  local loader=$root/boot/loader entry
  entry=$(sed -n 's/^default //p' "$loader/loader.conf")
  if [[ -e $loader/once ]]; then
    entry=$(<"$loader/once")
    rm "$loader/once"
  fi
  sed -n 's/^options .*init=\([^ ]*\).*/\1/p' "$loader/entries/$entry"
}

case $verb in
  run)
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    exec env -i PATH=/usr/bin:/usr/sbin HOME=/root chroot "$root" "$@"
    ;;
  disks)
    exec "${0%/*}/disks.sh" "$root" "$1" "$bed"
    ;;
  beside)
    export ROOT=$root
    exec "$@"
    ;;
  boot)
    # The words of the host's environment that would reach the guest are few.
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec systemd-nspawn --quiet \
      --directory="$root" --register=no --keep-unit --console=read-only \
      --notify-ready=yes --link-journal=no --resolv-conf=off --timezone=off \
      --private-network --machine=bed "$@" "$(init)"
    ;;
esac
