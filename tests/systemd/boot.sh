#!/bin/bash
# Becomes systemd: the first process of new namespaces makes itself a root of its own, and hands over to it.
#
#   unshare --fork --pid --mount --uts --ipc --net --cgroup -- bash boot.sh FOLDER [SOURCE:TARGET ...]
#
# The root is this machine's, under a layer in memory that takes all writes; its /run, /tmp, /dev and units are empty.
# SOURCE is then to be seen, read-only, at TARGET. FOLDER is an empty one for its mount points. Waits for a line on its
# terminal first: until then its starter may move it to where it belongs. A test bench, not a border: root inside is root.
set -euo pipefail
[[ $$ == 1 && $(readlink /proc/self/ns/mnt) != "${OUTSIDE:?}" ]] || { echo "not in namespaces of its own" >&2; exit 1; }
folder=${1:?} root=${1:?}/root
shift
read -r _

mount --make-rprivate /
mkdir "$root" "$folder/layer"
mount -t tmpfs -o mode=755,size=4g layer "$folder/layer"
mkdir "$folder"/layer/{upper,work}
mount -t overlay -o "lowerdir=/,upperdir=$folder/layer/upper,workdir=$folder/layer/work" lab "$root"

# what a container manager gives: see https://systemd.io/CONTAINER_INTERFACE
mkdir -p "$root"/{proc,sys,dev,run,tmp,var/tmp}
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid,nodev run "$root/run"
mount -t tmpfs -o mode=755,nosuid,nodev data "$root/var/lib" # overlayfs would tell a watcher too little
for each in tmp var/tmp; do mount -t tmpfs -o mode=1777,nosuid,nodev tmp "$root/$each"; done
for each in sys sysrq-trigger; do # the kernel's knobs are the machine's
	[[ -e $root/proc/$each ]] || continue
	mount --bind "$root/proc/$each" "$root/proc/$each"
	mount -o remount,bind,ro "$root/proc/$each"
done
mount -t tmpfs -o mode=755,nosuid,size=4m dev "$root/dev"
for each in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
	IFS=: read -r name major minor <<<"$each"
	mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done
mkdir "$root"/dev/{pts,shm}
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for each in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${each%%:*}" "$root/dev/${each##*:}"; done
: >"$root/dev/console"
mount --bind "$(readlink -f /proc/self/fd/0)" "$root/dev/console"

# an identity of its own, no units of the machine's, no inboxd that is installed here
uuid=$(cat /proc/sys/kernel/random/uuid)
rm -f "$root"/etc/{machine-id,hostname,fstab}
echo "${uuid//-/}" >"$root/etc/machine-id"
echo lab >"$root/etc/hostname"
rm -rf "$root"/etc/systemd/system "$root"/etc/rc?.d "$root"/var/log/journal
rm -rf "$root"/{opt,etc}/inboxd "$root/usr/local/bin/inboxd"
sed -i '/^inboxd:/d' "$root"/etc/{passwd,group,shadow,gshadow}
mkdir -p "$root"/etc/systemd/{system,journald.conf.d}
for each in console-getty.service getty@.service systemd-firstboot.service systemd-udevd.service \
	systemd-timesyncd.service systemd-journald-audit.socket sys-fs-fuse-connections.mount \
	sys-kernel-debug.mount sys-kernel-tracing.mount; do
	ln -s /dev/null "$root/etc/systemd/system/$each"
done
ln -s /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
mkdir "$root/var/log/journal" # so that users, too, see their own
printf '[Journal]\nStorage=persistent\nRateLimitBurst=0\n' >"$root/etc/systemd/journald.conf.d/lab.conf"

for each in "$@"; do
	mkdir -p "$root${each#*:}"
	mount --bind "${each%%:*}" "$root${each#*:}"
	mount -o remount,bind,ro "$root${each#*:}"
done

mkdir "$root/run/outside"
cd "$root"
pivot_root . run/outside
# nothing that reaches beyond the namespaces: no clock, no kernel modules, no kernel log
capabilities=-sys_time,-sys_module,-sys_rawio,-syslog,-wake_alarm,-block_suspend,-mac_admin,-mac_override
exec chroot . /bin/bash -c 'umount -l /run/outside && rmdir /run/outside && mount --make-rshared / &&
	exec setpriv --bounding-set "$1" env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb \
		/lib/systemd/systemd --system' bash "$capabilities"
