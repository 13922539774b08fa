#!/bin/sh
# oldroot.sh DIR amd64|arm64: makes in DIR the root of an old system: Debian 11's C library (glibc 2.31), its name and a busybox, as apt
# fetches and checks them. It needs no root, no qemu, and no more than some seconds; the machine's own apt is left alone.
# The mirrors are the machine's own; FORETOP_DEBIAN_MIRROR names another.
set -eu
[ $# -eq 2 ] || { echo "usage: oldroot.sh DIR amd64|arm64" >&2; exit 2; }
dir=$1
arch=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/state/lists/partial" "$tmp/cache/archives/partial" "$tmp/got" "$tmp/root"
: >"$tmp/status"

# with MIRROR COMMAND...: apt-get on that mirror of Debian 11 alone.
with() {
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $1 bullseye main" >"$tmp/sources.list"
	shift
	(cd "$tmp/got" && apt-get -qq -o Dir::State="$tmp/state" -o Dir::State::status="$tmp/status" -o Dir::Cache="$tmp/cache" -o Dir::Etc::sourcelist="$tmp/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::http::Timeout=20 -o Acquire::Retries=2 "$@" </dev/null)
}

fetched=
for mirror in ${FORETOP_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | sort -u)}; do
	if with "$mirror" update && with "$mirror" download libc6 base-files busybox-static; then
		fetched=$mirror
		break
	fi
done
[ -n "$fetched" ] || { echo "oldroot.sh: no mirror gives Debian 11's packages for $arch" >&2; exit 1; }
for package in "$tmp"/got/*.deb; do
	dpkg-deb -x "$package" "$tmp/root"
done
ln -sf busybox "$tmp/root/bin/sh"
chmod 755 "$tmp/root"
mkdir -p "$(dirname "$dir")"
# Another run may have been quicker.
mv -T "$tmp/root" "$dir" 2>/dev/null || [ -e "$dir/bin/sh" ]
