#!/usr/bin/env bash
# Installs the clients that test/integration/inference/clients.test.ts runs below .naru/clients: Python ones in a virtual
# environment, and Triton's perf_analyzer.
set -euo pipefail
cd "$(dirname "$0")"
target="$(cd ../.. && pwd)/.naru/clients"
[ -x "$target/bin/python" ] || python3 -m venv "$target"
pip() { "$target/bin/pip" "$1" -q --disable-pip-version-check "${@:2}"; }
pip install -r requirements.txt

analyzer=perf-analyzer==2.60.0
if [ -x "$target/bin/perf_analyzer" ] || pip install "$analyzer" 2>/dev/null; then exit 0; fi

# It is built for glibc 2.38. Where that of this Debian is older, it runs on a newer Debian's, unpacked beside it.
newer="$target/glibc"
rm -rf "$newer" && mkdir -p "$newer/lists/partial" "$newer/cache/partial"
codename="$(. /etc/os-release && echo "$VERSION_CODENAME")"
mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m 1 '/debian/\?$' || true)"
echo "deb $mirror trixie main" >"$newer/sources.list"
apt() {
  apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$newer/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::State::lists="$newer/lists" -o Dir::Cache::archives="$newer/cache" "$@"
}
if [ "$codename" = bookworm ] && apt update && (cd "$newer" && apt download libc6 libstdc++6 libgcc-s1 zlib1g libssl3t64); then
  for package in "$newer"/*.deb; do dpkg-deb -x "$package" "$newer"; done
  pip download --no-deps --platform manylinux_2_38_x86_64 --only-binary=:all: -d "$newer" "$analyzer"
  "$target/bin/python" -m zipfile -e "$newer"/perf_analyzer-*.whl "$newer/perf_analyzer"
  libraries="$newer/usr/lib/x86_64-linux-gnu"
  chmod +x "$newer/perf_analyzer/perf_analyzer/bin/perf_analyzer"
  cat >"$target/bin/perf_analyzer" <<EOF
#!/bin/sh
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" \
  "$newer/perf_analyzer/perf_analyzer/bin/perf_analyzer" "\$@"
EOF
  chmod +x "$target/bin/perf_analyzer"
  rm -rf "$newer"/{lists,cache} "$newer"/*.deb "$newer"/*.whl
else
  echo 'perf_analyzer is left out: it wants glibc 2.38, which neither this system nor its mirror has' >&2
fi
