#!/bin/sh
# build.sh FOLDER: builds the API server and kwok into FOLDER, once: some minutes the first time. Parallel runs wait for each other.
set -eu
cd "$(dirname "$0")"
out=$1
mkdir -p "$out"
exec 9>"$out/lock"
flock 9
[ ! -e "$out/built" ] || exit 0
version=$(sed -n 's,^.*k8s.io/kubernetes \(v[0-9.]*\).*,\1,p' go.mod)
export GOWORK=off GOFLAGS= CGO_ENABLED=0
is=k8s.io/component-base/version
go build -trimpath -buildvcs=false -o "$out/" -ldflags "-s -w -X $is.gitVersion=$version -X $is.gitMajor=1 -X $is.gitMinor=$(echo "$version" | cut -d. -f2)" \
	k8s.io/kubernetes/cmd/kube-apiserver sigs.k8s.io/kwok/cmd/kwok
touch "$out/built"
