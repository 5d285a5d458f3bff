#!/usr/bin/env bash
# Installs the Python clients that test/integration/inference/clients.test.ts runs, in a virtual environment below .naru.
set -euo pipefail
cd "$(dirname "$0")"
target="$(cd ../.. && pwd)/.naru/clients"
[ -x "$target/bin/python" ] || python3 -m venv "$target"
"$target/bin/pip" install -q --disable-pip-version-check -r requirements.txt
