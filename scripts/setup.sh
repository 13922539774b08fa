#!/bin/sh
# Installs the Debian packages that the tests need; "setup.sh bench" also what the benchmarks compare with. As root it installs what is
# missing; otherwise it names the missing packages and the command, and exits 1. It asks nothing, and does nothing when all is there.
set -eu

missing=
# need PACKAGE PROGRAM...: each program comes from that package.
need() {
	package=$1
	shift
	for program in "$@"; do
		if ! command -v "$program" >/dev/null 2>&1; then
			missing="$missing $package"
			return
		fi
	done
}

# header FILE PACKAGE: a file of a C library, to build with or to run on.
header() {
	[ -e "$1" ] || missing="$missing $2"
}

# module NAME PACKAGE: a module of Debian's Python.
module() {
	/usr/bin/python3 -c "import $1" 2>/dev/null || missing="$missing $2"
}

# Servers live where an ordinary user's PATH does not look.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

if [ "$(uname -s)" != Linux ]; then
	echo "setup: not Linux: tests that need real sshd nodes are skipped here" >&2
	exit 0
fi

need openssh-server sshd
need openssh-client ssh ssh-keygen ssh-agent ssh-add
need iproute2 ip
need util-linux mount pivot_root nsenter setsid unshare setpriv flock
need procps pgrep ps
need tmux tmux
need gcc gcc
need openssl openssl
# What else a server may let in by: Kerberos tickets, keys in a token.
need krb5-kdc krb5kdc kdb5_util
need krb5-admin-server kadmin.local
need krb5-user kinit
need softhsm2 softhsm2-util
need tcsh tcsh
need fish fish
need zsh zsh
need vim vim
need htop htop
need ncurses-bin tput
need mksh mksh
# The NVML reader is built for both platforms.
case $(uname -m) in
x86_64)
	need gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc
	header /usr/aarch64-linux-gnu/include/stdio.h libc6-dev-arm64-cross
	;;
aarch64)
	need gcc-x86-64-linux-gnu x86_64-linux-gnu-gcc
	header /usr/x86_64-linux-gnu/include/stdio.h libc6-dev-amd64-cross
	;;
esac
# Nodes' programs run on other systems: arm64, musl, an old glibc (scripts/oldroot.sh), none at all.
need qemu-user-static qemu-aarch64-static
header "/lib/ld-musl-$(uname -m).so.1" musl
need busybox-static busybox
need coreutils chroot
if [ "${1:-}" = bench ]; then
	need prometheus-node-exporter prometheus-node-exporter
	need pdsh pdsh
	need clustershell clush
fi
need bindfs bindfs
# What reads the metrics that are published: the server itself, and OpenMetrics's own parser.
need prometheus prometheus promtool
module prometheus_client python3-prometheus-client
need slurmctld slurmctld
need slurmd slurmd
need slurm-client squeue sbatch scontrol
need munge munged
need sudo sudo
header /lib/systemd/systemd-journald systemd
need fuse3 fusermount3
# The launchers that the tests start; scripts/launchers.sh adds those that Debian does not have.
need openmpi-bin mpirun
need python3 /usr/bin/python3
header /usr/lib/python3/dist-packages/torch/__init__.py python3-torch
header /usr/lib/python3/dist-packages/mpi4py/__init__.py python3-mpi4py
module ensurepip python3-venv
header /usr/include/stdio.h libc6-dev

[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "setup: the tests need packages that are not installed:$missing" >&2
	echo "setup: run: sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
	echo "setup: no apt-get here; install what these Debian packages hold:$missing" >&2
	exit 1
fi

export DEBIAN_FRONTEND=noninteractive
echo "setup: installing$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# apt runs apt-get without a terminal, and shows what it said only when it failed.
apt() {
	apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$log" 2>&1 && return
	status=$?
	cat "$log" >&2
	return "$status"
}
apt update
# policy-rc.d keeps packages from starting their servers: the tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	trap 'rm -f "$log" "$policy"' EXIT
fi
# shellcheck disable=SC2086 # words of a list
apt -y --no-install-recommends install $missing
