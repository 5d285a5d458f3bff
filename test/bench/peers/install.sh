#!/usr/bin/env bash
# Installs the peers that the inference benchmark runs beside ours, each in a virtual environment of its own below
# .naru/bench. A peer that cannot be installed is left out of the table, with the reason.
set -u
cd "$(dirname "$0")"
target="${NARU_BENCH_PEERS:-$(cd ../../.. && pwd)/.naru/bench}"
for peer in mlserver kserve bentoml; do
  python3 -m venv "$target/$peer" && "$target/$peer/bin/pip" install -q -r "$peer/requirements.txt" || {
    echo "$peer could not be installed" >&2
    rm -rf "${target:?}/$peer"
  }
done
