#!/usr/bin/env bash
# Installs what debian-packages.txt lists and this machine lacks, as root or with sudo that asks no password.
# Elsewhere it names what is missing, and ends well: the tests in need are skipped, each with that reason.
set -euo pipefail
cd "$(dirname "$0")/.."

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_packages() {
    local package
    while read -r package; do
        is_installed "$package" || echo "$package"
    done < <(sed 's/#.*//' debian-packages.txt | awk 'NF { print $1 }')
}

if ! command -v dpkg-query >/dev/null; then
    echo "This is no Debian or Ubuntu, so bring these yourself; tests in need of an absent one are skipped:"
    sed 's/#.*//' debian-packages.txt | awk 'NF { print "  " $1 }'
    exit 0
fi

mapfile -t missing < <(missing_packages)
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "${1:-}" = --check ]; then
    echo "Debian packages that are missing: ${missing[*]}" >&2
    exit 1
fi

if [ "$(id -u)" = 0 ]; then
    as_root=()
elif sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
else
    echo "Missing, and not installed since this needs root; the tests in need of them are skipped:"
    printf '  %s\n' "${missing[@]}"
    echo "To install them: sudo apt-get install --no-install-recommends ${missing[*]}"
    exit 0
fi

# Tests start servers of their own; Debian's would take the usual ports, so those that come with this stay off.
no_start=/usr/sbin/policy-rc.d
if [ ! -e "$no_start" ]; then
    trap '"${as_root[@]}" rm -f "$no_start"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$no_start" >/dev/null
    "${as_root[@]}" chmod 755 "$no_start"
fi
echo "Installing with apt-get: ${missing[*]}"
apt_get=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3)
"${apt_get[@]}" update || true # an old list may do
if ! "${apt_get[@]}" install --yes --no-install-recommends "${missing[@]}" </dev/null >/dev/null; then
    echo "apt-get could not install them; the tests in need of them are skipped" >&2
    exit 0
fi
if [ -d /run/systemd/system ]; then
    for service in mosquitto postgresql; do
        if [[ " ${missing[*]} " = *" $service "* ]]; then
            "${as_root[@]}" systemctl disable --quiet --now "$service" || true
            echo "$service is installed but switched off: systemctl enable --now $service"
        fi
    done
fi
