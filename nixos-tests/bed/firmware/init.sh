#!/bin/busybox sh
# shellcheck shell=dash
# Stage 1 of a boot: drivers, file systems, and on to the system that the
# kernel's `init=` names. When that is not there the kernel panics.
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in virtio_blk fat vfat nls_ascii nls_cp437 nls_iso8859-1 efivarfs veth; do
  /bin/busybox insmod /modules/$module.ko
done
/bin/busybox mount -t ext4 /dev/vda /root
/bin/busybox mount -t tmpfs -o mode=0755 run /root/run
/bin/busybox mount -t vfat -o umask=0077 /dev/vdb1 /root/boot
for word in $(/bin/busybox cat /proc/cmdline); do
  case $word in init=*) init=${word#init=} ;; esac
done
/bin/busybox mount --move /dev /root/dev
/bin/busybox umount /sys
/bin/busybox umount /proc
exec /bin/busybox switch_root /root "$init"
