#!/bin/sh
# build.sh: builds the API server, etcd and kwok into the user's cache folder, once for each state of this folder, and prints where they are. The first time takes minutes; parallel runs wait for each other.
set -eu
cd "$(dirname "$0")"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/foretop
out=$cache/kube-$(cat go.mod go.sum build.sh | sha256sum | cut -c1-16)
mkdir -p "$out"
exec 9>"$out/lock"
flock 9
if [ ! -e "$out/built" ]; then
	version=$(sed -n 's,^.*k8s.io/kubernetes \(v[0-9.]*\).*,\1,p' go.mod)
	is=k8s.io/component-base/version
	echo "building the Kubernetes API server $version for the tests: minutes, this once" >&2
	# Without the compiler's optimisations a quarter faster to build.
	GOWORK=off GOFLAGS='' CGO_ENABLED=0 go build -gcflags 'all=-N -l' -trimpath -buildvcs=false -o "$out/" \
		-ldflags "-s -w -X $is.gitVersion=$version -X $is.gitMajor=1 -X $is.gitMinor=$(echo "$version" | cut -d. -f2)" \
		k8s.io/kubernetes/cmd/kube-apiserver sigs.k8s.io/kwok/cmd/kwok go.etcd.io/etcd/server/v3 >&2
	mv "$out/server" "$out/etcd"
	# What kwok's kubelets do: its own stages of nodes that become ready and report, and of pods that run at once.
	stages=$(GOWORK=off GOFLAGS='' go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage
	for file in "$stages"/node/fast/node-*.yaml "$stages"/node/heartbeat/node-*.yaml "$stages"/pod/fast/pod-*.yaml; do
		echo ---
		cat "$file"
	done >"$out/stages.yaml"
fi
touch "$out/built"
# Those of other states go when nobody used them for a month.
find "$cache" -maxdepth 2 -name built -path '*/kube-*' -mtime +30 -exec sh -c 'rm -rf "${1%/built}"' sh {} \;
echo "$out"
