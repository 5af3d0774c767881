#!/usr/bin/env bash
# Installs what the system tests need beside Python: a browser and a one-node cluster.
# It never fails the run: a test whose program is absent skips and says so.
set -u
PATH=$PATH:/usr/sbin:/sbin # where daemons stand, and not everyone looks

wanted=()
command -v chromium >/dev/null || wanted+=(chromium)
command -v slurmctld >/dev/null && command -v slurmd >/dev/null || wanted+=(slurm-wlm)
command -v munged >/dev/null || wanted+=(munge)
[ ${#wanted[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "system tests: no apt-get here, so without ${wanted[*]}: their tests will skip" >&2
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "system tests: not root, so without ${wanted[*]}: their tests will skip" >&2
    exit 0
fi

echo "system tests: installing ${wanted[*]}" >&2
record=$(mktemp)
trap 'rm -f "$record"' EXIT

apt() {
    DEBIAN_FRONTEND=noninteractive timeout 300 apt-get -qq -o DPkg::Lock::Timeout=60 "$@" \
        >>"$record" 2>&1 </dev/null
}

# One package at a time: a cluster that cannot be had must not cost the browser.
apt update || echo "system tests: the package lists could not be updated" >&2
for package in "${wanted[@]}"; do
    if ! apt install --yes --no-install-recommends "$package"; then
        echo "system tests: $package could not be installed: its tests will skip" >&2
        tail -n 3 "$record" >&2
    fi
done
exit 0
