#!/usr/bin/env bash
# Builds Argo CD at the version that test/e2e/argocd/go.mod pins, below ~/.cache/naru-argocd, with the settings and
# definitions that it is installed with. Needs Go; takes about five minutes on two cores. Without it the tests that run
# it are skipped and say so.
set -euo pipefail
cd "$(dirname "$0")/../e2e/argocd"
module=github.com/argoproj/argo-cd/v3
version=$(sed -n "s|^\s*$module v\([^ ]*\).*|\1|p" go.mod)
target="${XDG_CACHE_HOME:-$HOME/.cache}/naru-argocd/$version"
[ ! -x "$target/argocd" ] || exit 0

go mod download "$module"
source=$(go list -m -f '{{.Dir}}' "$module")
mkdir -p "$target/bin"
# Its image has it on PATH.
install "$source/hack/git-verify-wrapper.sh" "$target/bin"
cp -R --no-preserve=mode "$source/manifests/crds" "$source/manifests/base/config" "$target"
CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X $module/common.version=$version" -o "$target/building" "$module/cmd"
mv "$target/building" "$target/argocd"
