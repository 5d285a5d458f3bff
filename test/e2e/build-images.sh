#!/usr/bin/env bash
# Builds the images that the e2e tests run and hands them to the cluster. Prints a line for the shell to evaluate
# where the model's image has a digest in the cluster.
#
#   NARU_IMAGE_BUILD   takes the arguments of `docker build`; absent: docker build
#   NARU_IMAGE_LOAD    takes an image's name, such as `kind load docker-image`; absent: what builds also delivers
#   NARU_IMAGE_BASE    Node.js for both images; absent: the Dockerfiles' own
set -euo pipefail
cd "$(dirname "$0")/../.."
read -ra build <<<"${NARU_IMAGE_BUILD:-docker build}"
read -ra load <<<"${NARU_IMAGE_LOAD:-true}"

# image NAME DOCKERFILE BASE CONTEXT
image() {
  "${build[@]}" -t "$1" -f "$2" ${3:+--build-arg BASE="$3"} "$4" >&2
  "${load[@]}" "$1" >&2
}

image localhost/naru-operator:e2e images/operator/Dockerfile "${NARU_IMAGE_BASE:-}" .
image localhost/naru-runtime:e2e images/runtime/Dockerfile "${NARU_IMAGE_BASE:-}" .
image localhost/naru-digits:e2e test/e2e/model.Dockerfile localhost/naru-runtime:e2e examples/digits/models

# A digest is a registry's to give. Where containerd is at hand the image gets the name that a pull would have given it.
if [ -n "${CONTAINERD_ADDRESS:-}" ] && command -v ctr >/dev/null; then
  export CONTAINERD_NAMESPACE=k8s.io CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1
  digest=$(ctr images list name==localhost/naru-digits:e2e | grep -o 'sha256:[0-9a-f]\{64\}' | head -1)
  ctr images tag --force localhost/naru-digits:e2e "localhost/naru-digits@$digest" >&2
  echo "export NARU_E2E_MODEL_IMAGE=localhost/naru-digits@$digest"
fi
