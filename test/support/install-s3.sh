#!/bin/sh
# Builds the S3-compatible server that the tests of lib/artifacts run against (Apache-2.0, checks signatures as AWS does).
# Needs Go; takes about two minutes on two cores. Without it those tests are skipped and say so.
set -eu
version=v1.8.0
command -v versitygw >/dev/null && exit 0
[ -x "$(go env GOPATH)/bin/versitygw" ] && exit 0
go install "github.com/versity/versitygw/cmd/versitygw@$version"
