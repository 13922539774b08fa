#!/bin/sh
# build.sh GOARCH OUT: builds the NVML reader for linux/GOARCH (amd64 or arm64), small, lazily bound, and for an old glibc.
#
#  -z lazy          go-nvml refers to every NVML function there is; bound at start, the program would die on any driver that lacks one.
#  oldglibc/        binds to the first versions of glibc's functions, so that it starts from glibc 2.17 on (see the files there).
#  hidden, sections go-nvml makes a C function for each of NVML's, and exports them all: so those that nothing calls are left out.
#  libdl, libpthread by file name: where they still hold those functions they must be loaded; later ones are empty, but there.
#
# The C compiler is CC, or gcc on the machine's own architecture, or the cross compiler, which it names when it is missing (exit 3).
set -eu
[ $# -eq 2 ] || { echo "usage: build.sh amd64|arm64 OUT" >&2; exit 2; }
arch=$1
case $2 in /*) out=$2 ;; *) out=$PWD/$2 ;; esac
here=$(cd "$(dirname "$0")" && pwd)
case $arch in
amd64) triple=x86_64-linux-gnu machine=x86_64 ;;
arm64) triple=aarch64-linux-gnu machine=aarch64 ;;
*) echo "build.sh: no NVIDIA driver for linux/$arch" >&2; exit 2 ;;
esac
if [ -z "${CC:-}" ]; then
	CC=gcc
	[ "$(uname -m)" = "$machine" ] || CC=$triple-gcc
fi
command -v "${CC%% *}" >/dev/null || {
	echo "build.sh: no C compiler for linux/$arch: ${CC%% *} is not there (Debian: apt-get install gcc-$triple)" >&2
	exit 3
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
$CC -O2 -fPIC -fno-asynchronous-unwind-tables -include "$here/oldglibc/symver.h" -c -o "$tmp/start.o" "$here/oldglibc/start.c"
cd "$here"
# The go command's cache knows nothing of an included header's content, hence its checksum among the flags.
sum=$(cksum <"$here/oldglibc/symver.h" | tr ' ' _)
CC=$CC GOOS=linux GOARCH=$arch CGO_ENABLED=1 \
	CGO_CFLAGS="-Os -g0 -fvisibility=hidden -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -Wno-deprecated-declarations -include $here/oldglibc/symver.h -DSYMVER=$sum" \
	go build -trimpath -buildvcs=false -o "$out" -ldflags "-s -w -buildid= -linkmode=external \
		-extldflags '-nostartfiles $tmp/start.o -Wl,-z,lazy -Wl,--gc-sections -Wl,--no-as-needed -l:libpthread.so.0 -l:libdl.so.2 -Wl,--hash-style=both'" .
