#!/usr/bin/env bash
# Creates .venv and installs the pinned requirements and this checkout into it. PYTHON names another interpreter.
# pip's own settings (PIP_*, pip.conf) hold: an index or proxy of one's own needs no change here.
set -euo pipefail
cd "$(dirname "$0")/.."

fits() {
    "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if fits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "Footfall needs Python 3.11 or newer; name one with PYTHON=…" >&2
    return 1
}

create_environment() {
    local python=$1 package="python3-venv"
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -m venv .venv
        return
    fi
    if [ "$(id -u)" = 0 ]; then
        apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$package"
    elif sudo -n true 2>/dev/null; then
        sudo -n apt-get -qq update && sudo -n apt-get -qq install --yes --no-install-recommends "$package"
    else
        echo "This Python cannot create environments: sudo apt-get install $package" >&2
        return 1
    fi
    "$python" -m venv .venv
}

if ! { [ -x .venv/bin/python ] && fits .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
    rm -rf .venv
    python=$(find_python)
    echo "Creating .venv with $("$python" --version)"
    create_environment "$python"
fi
echo "Installing the pinned requirements (a few minutes the first time)"
# The file is complete. Were pip to follow dependencies itself, it would ask for the builds that must not be installed.
pip=(.venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps)
"${pip[@]}" --require-hashes --requirement requirements/dev.txt
"${pip[@]}" --no-build-isolation --editable .
touch .venv/.installed
