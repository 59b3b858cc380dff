#!/bin/bash
# Build a small image (TORCH=none) with podman or docker, run it as docs/containers.md says, drop a receipt into its
# volume, and check the result, the health check, the console and the stop. Exit status 77: skipped, with the reason.
#
#   IMAGE=NAME            check this image instead of building one
#   BASE=NAME             the Debian image to build on; default: that of the Containerfile, or, if no registry can be
#                         reached, one that mmdebstrap makes of Debian's packages
#   IMAGE_OPTIONS="…"     more options of the build
set -euo pipefail
cd "$(dirname "$0")/.."
skip() { echo "container: skipped: $*"; exit 77; }
fail() { echo "container: $*" >&2; "$tool" logs "$name" >&2 || true; exit 1; }

tool=$(command -v podman || command -v docker || true)
[[ -n $tool ]] || skip "needs podman or docker"
if [[ $tool == *podman && $EUID == 0 && -d /sys/fs/cgroup/unified && -z ${IN_NAMESPACE:-} ]]; then
	# crun refuses hybrid cgroups: in a mount namespace without the second version, they are plain ones
	exec unshare --mount sh -c 'mount --make-rprivate / && umount /sys/fs/cgroup/unified && IN_NAMESPACE=1 exec "$0"' "$0"
fi
scratch=$(mktemp -d)
name=inboxd-test-$$
clean() {
	for each in "$name" "$name-web"; do "$tool" rm -f "$each" > /dev/null 2>&1 || true; done
	rm -rf "$scratch"
}
trap clean EXIT
if [[ -z ${CONTAINERS_CONF:-} ]]; then  # without the right to raise limits, the default ones cannot be set
	printf '[containers]\ndefault_ulimits = []\n' > "$scratch/containers.conf"
	export CONTAINERS_CONF=$scratch/containers.conf
fi
"$tool" info > /dev/null 2> "$scratch/why" || skip "$(tail -n 1 "$scratch/why")"

is_here() { "$tool" image inspect "$1" > /dev/null 2>&1; }
choose_base() {
	base=${BASE:-$(sed -n 's/^ARG BASE=//p' container/Containerfile)}
	! is_here "$base" || return 0
	! timeout 60 "$tool" pull -q "$base" > /dev/null 2>&1 || return 0
	[[ -z ${BASE:-} && $EUID == 0 ]] && command -v mmdebstrap > /dev/null || skip "cannot get $base"
	base=localhost/inboxd-base:bookworm
	is_here "$base" || mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates,tini bookworm - |
		"$tool" import - "$base" > /dev/null || skip "mmdebstrap cannot make $base"
}
# The build downloads as this machine does: its network, and pip's settings, certificates and folder of wheels.
host_options() {
	echo "--network host"
	[[ $tool == *podman ]] || return 0  # docker's build mounts nothing
	for each in /etc/pip.conf /etc/xdg/pip /etc/ssl/certs ${PIP_FIND_LINKS:-}; do
		[[ ! -e $each ]] || echo "-v $each:$each:ro"
	done
	[[ ! -d ${PIP_FIND_LINKS:-} ]] || echo "--build-arg PIP_FIND_LINKS=$PIP_FIND_LINKS"
}
image=${IMAGE:-localhost/inboxd:none}
if [[ -z ${IMAGE:-} ]]; then
	choose_base
	"$tool" run --rm --network host "$base" true > /dev/null 2> "$scratch/why" || skip "no container runs: $(tail -n 1 "$scratch/why")"
	started=$SECONDS
	make --no-print-directory image TORCH=none CONTAINER="$tool" \
		IMAGE_OPTIONS="--build-arg BASE=$base $(host_options | xargs) ${IMAGE_OPTIONS:-}"
	echo "container: built on $base in $((SECONDS - started)) s"
fi

data=$scratch/data
mkdir -p "$data/inbox/receipts"
chmod 755 "$scratch"
chown -R 10001:10001 "$data"
options=(--read-only --tmpfs /tmp --cap-drop all --security-opt no-new-privileges --memory 2g --pids-limit 512 -v "$data:/data")
"$tool" run -d --name "$name" --network none --stop-timeout 60 "${options[@]}" "$image" > /dev/null 2> "$scratch/why" ||
	fail "$(cat "$scratch/why")"
wait_for() {  # SECONDS WHAT COMMAND…
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" > /dev/null 2>&1; do
		((SECONDS < deadline)) || fail "no $what"
		sleep 0.5
	done
}
wait_for 120 "daemon that answers" "$tool" exec "$name" inboxd status
install -o 10001 -g 10001 samples/inbox/receipt.jpg "$data/receipt.jpg"
mv "$data/receipt.jpg" "$data/inbox/receipts/receipt.jpg"
wait_for 300 "result" test -e "$data/outbox/receipts/receipt/result.json"
grep -q . "$data/outbox/receipts/receipt/receipt.csv" || fail "the receipt has no rows"
[[ $(stat -c %u "$data/outbox/receipts/receipt/result.json") == 10001 ]] || fail "the result has another owner"
"$tool" exec "$name" touch /etc/x 2> /dev/null && fail "the root file system is writable"
[[ $("$tool" exec "$name" id -u) == 10001 ]] || fail "it does not run as 10001"
[[ $tool != *podman ]] || "$tool" healthcheck run "$name" > /dev/null || fail "the health check fails"

# the console, in the network namespace of a container of its own, as compose starts it
"$tool" run -d --name "$name-web" "${options[@]}" "$image" inboxd web > /dev/null 2>&1 || fail "the console does not start"
request='import sys, urllib.request as r
q = r.Request("http://127.0.0.1:8100" + sys.argv[1], headers={"X-Api-Key": open("/data/state/web-token").read().strip()} if sys.argv[2:] else {})
print(r.urlopen(q, timeout=5).status)'
wait_for 60 "console" "$tool" exec "$name-web" python3 -c "$request" /health
"$tool" exec "$name-web" python3 -c "$request" /ready with-token > /dev/null || fail "the console is not ready"
"$tool" exec "$name-web" python3 -c "$request" /ready > /dev/null 2>&1 && fail "the console needs no token"

started=$SECONDS
"$tool" stop "$name" "$name-web" > /dev/null 2>&1
[[ $("$tool" inspect "$name" --format '{{.State.ExitCode}}') == 0 ]] || fail "the daemon did not stop properly"
echo "container: ok ($("$tool" image inspect "$image" --format '{{.Size}}' | awk '{ printf "%.2f GB", $1 / 1e9 }'), stopped in $((SECONDS - started)) s)"
