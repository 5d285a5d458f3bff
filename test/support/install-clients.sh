#!/usr/bin/env bash
# Installs the Python clients that test/integration/inference/clients.test.ts runs, in a virtual environment below .naru.
set -euo pipefail
cd "$(dirname "$0")"
target="$(cd ../.. && pwd)/.naru/clients"
[ -x "$target/bin/python" ] || python3 -m venv "$target"
"$target/bin/pip" install -q --disable-pip-version-check -r requirements.txt
"$target/bin/pip" install -q --disable-pip-version-check perf-analyzer==2.60.0 2>/dev/null ||
  echo 'perf_analyzer is left out: there is no build of it for this glibc (it wants 2.38)' >&2
