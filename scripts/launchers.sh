#!/bin/sh
# Installs the launchers that Debian does not have, for the tests of cli/bed_launchers_test.go: JAX, TensorFlow, Ray and py-spy from PyPI, each in a virtual environment
# of its own under ${XDG_CACHE_HOME:-~/.cache}/foretop-tests, about 3 GB. What is there already stays: a second run does nothing. With names it installs only those.
set -eu
umask 022

[ "$(uname -s)" = Linux ] || exit 0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/foretop-tests
python=/usr/bin/python3
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # one run at a time

# venv NAME REQUIREMENT...: the environment is in its place only when it is whole; its file "installed" says what it holds.
venv() {
	name=$1
	shift
	place=$cache/venv-$name
	holds="$("$python" -V) $*"
	if [ "$(cat "$place/installed" 2>/dev/null)" = "$holds" ]; then
		return
	fi
	echo "launchers: installing $* for $place" >&2
	rm -rf "$place" "$place.new"
	"$python" -m venv "$place.new"
	"$place.new/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --only-binary :all: "$@"
	echo "$holds" >"$place.new/installed"
	mv "$place.new" "$place"
}

for name in ${*:-jax py-spy ray tensorflow}; do
	case $name in
	jax) venv jax jax==0.10.2 jaxlib==0.10.2 ;;
	py-spy) venv py-spy py-spy==0.4.3 ;;
	ray) venv ray 'ray[train]==2.60.0' ;;
	tensorflow) venv tensorflow tensorflow-cpu==2.21.0 ;;
	*)
		echo "launchers: no $name: jax, py-spy, ray, tensorflow" >&2
		exit 1
		;;
	esac
done
