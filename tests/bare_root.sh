#!/bin/bash
# Follow the README in an empty Debian: `make install`, `make demo` and `make test` in a root file system that contains
# only python3, python3-venv and make. Needs root, mmdebstrap and a network: `make bare-root`.
#
#   tests/bare_root.sh [TARGET…]    default: install demo test
#
#   ROOT=FOLDER   use or create this root file system, and keep it; default: a temporary one
#   BIND="…"      more files and folders of this machine to show inside, read-only, for example a mirror of packages
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
[[ $EUID == 0 ]] || { echo "needs root"; exit 77; }
command -v mmdebstrap > /dev/null || { echo "needs mmdebstrap"; exit 77; }
(($#)) || set -- install demo test
if [[ -z ${ROOT:-} ]]; then
	ROOT=$(mktemp -d)
	trap 'rm -rf --one-file-system "$ROOT"' EXIT
fi
if [[ ! -e $ROOT/usr/bin/make ]]; then
	release=$(. /etc/os-release; echo "$VERSION_CODENAME")
	mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,make,ca-certificates "$release" "$ROOT"
fi
du -sm "$ROOT" | awk '{ print "the root file system: " $1 " MB" }'
rm -rf "$ROOT/clone"
mkdir "$ROOT/clone"
git -C "$here" archive HEAD | tar x -C "$ROOT/clone"
cp /etc/resolv.conf "$ROOT/etc/resolv.conf"
export ROOT BIND=${BIND:-}
# a mount namespace: nothing to unmount, whatever happens
unshare --mount --pid --fork bash -euc '
	mount --make-rprivate /
	mount --bind "$ROOT" "$ROOT"
	mount -t proc proc "$ROOT/proc"
	mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
	for each in null zero full random urandom; do : > "$ROOT/dev/$each"; mount --bind "/dev/$each" "$ROOT/dev/$each"; done
	ln -s /proc/self/fd "$ROOT/dev/fd"
	mkdir "$ROOT/dev/shm" && mount -t tmpfs tmpfs "$ROOT/dev/shm"
	for each in $BIND; do
		if [[ -d $each ]]; then mkdir -p "$ROOT$each"; else mkdir -p "$(dirname "$ROOT$each")"; : > "$ROOT$each"; fi
		mount --bind -o ro "$each" "$ROOT$each"
	done
	for target; do
		echo "== make $target"
		time chroot "$ROOT" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin ${PIP_FIND_LINKS:+PIP_FIND_LINKS="$PIP_FIND_LINKS"} \
			make -C /clone "$target"
	done
' bash "$@"
du -sm "$ROOT/clone/.venv" | awk '{ print "the environment: " $1 " MB" }'
