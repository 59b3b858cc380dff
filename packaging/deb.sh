#!/bin/bash
# Build dist/inboxd_VERSION_ARCH.deb: `make deb`. The package contains a virtual environment in /opt/inboxd, for the
# Python of the Debian that builds it. Installing it installs and starts the service, as `inboxd install` does.
#
#   EXTRAS=documents,…   extras to include; default: documents, so no torch
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
python=/usr/bin/python3
version=$($python -c 'import daemon; print(daemon.__version__)')
arch=$(dpkg --print-architecture)
minor=$($python -c 'import sys; print(sys.version_info.minor)')
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

$python -m venv "$root/opt/inboxd"
"$root/opt/inboxd/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$root/wheel" .
rm -rf build
wheel=$(echo "$root"/wheel/*.whl)
"$root/opt/inboxd/bin/pip" install --quiet --disable-pip-version-check --no-compile -c constraints.txt "$wheel[${EXTRAS-documents}]"
rm -r "$root/wheel"
# the paths of this build, in scripts and compiled files
grep -rlI "$root" "$root/opt/inboxd/bin" "$root/opt/inboxd/pyvenv.cfg" | xargs sed -i "s#$root##g"
"$root/opt/inboxd/bin/python3" -m compileall -q -s "$root" "$root/opt/inboxd/lib" || true  # some are templates, not code

mkdir "$root/DEBIAN"
cat > "$root/DEBIAN/control" <<-END
	Package: inboxd
	Version: $version
	Architecture: $arch
	Maintainer: The inboxd authors <inboxd@localhost>
	Depends: python3 (>= 3.$minor), python3 (<< 3.$((minor + 1))), python3-venv, passwd
	Recommends: systemd
	Installed-Size: $(du -sk "$root/opt" | cut -f1)
	Section: utils
	Priority: optional
	Description: files dropped into an inbox, results in an outbox
	 Scans become text, bank statements become verified tables, mail and Office
	 files become Markdown, on this machine.
END
install -m 755 packaging/deb/* "$root/DEBIAN/"
mkdir -p dist
dpkg-deb --root-owner-group -Zzstd --build "$root" "dist/inboxd_${version}_$arch.deb"
