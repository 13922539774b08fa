# The first process of a test node, in new PID, mount, UTS, IPC and network namespaces: it builds the node's own view of
# the file system (this machine's, copy on write, with what NODE_DIR holds on top), moves into it and becomes init.sh.
set -eu
umask 022
mount --make-rprivate /
space=$NODE_DIR/root
mount -t tmpfs -o mode=755 node "$space"
mkdir "$space/upper" "$space/work" "$space/sys"
root=$space/tree
mkdir "$root"
mount -t overlay -o "lowerdir=/,upperdir=$space/upper,workdir=$space/work" overlay "$root"

# show SRC DST: a file or folder of this machine, at a path of the node.
show() {
	if [ -d "$1" ]; then
		mkdir -p "$root$2"
	else
		mkdir -p "$root${2%/*}"
		: >>"$root$2"
	fi
	mount --bind "$1" "$root$2"
}

# fresh PATH OPTIONS MODE UID FROM FILL: a tmpfs, with FROM's files in it, filled to the last byte where FILL is true.
fresh() {
	mkdir -p "$root$1"
	mount -t tmpfs -o "${2:+$2,}rw,mode=$3" fresh "$root$1"
	if [ -n "$5" ]; then
		cp -a "$5/." "$root$1/"
		chown "$4:$4" "$root$1"
	fi
	if [ "$6" = true ]; then
		dd if=/dev/zero of="$root$1/.full" bs=4k 2>/dev/null || :
	fi
	case ,$2, in
	*,ro,*) mount -o "remount,$2" "$root$1" ;;
	esac
}

# lay_sys TREE: TREE/class/X stands at /sys/class/X, TREE/devices/X at /sys/devices/X; what is real there stays beside it.
lay_sys() {
	for part in class devices bus; do
		[ -d "$1/$part" ] || continue
		mkdir "$space/sys/$part"
		mount --bind "$root/sys/$part" "$space/sys/$part"
		mount -t tmpfs -o mode=755 played "$root/sys/$part"
		for real in "$space/sys/$part"/*; do
			[ -d "$real" ] && [ ! -e "$1/$part/${real##*/}" ] && show "$real" "/sys/$part/${real##*/}"
		done
		for played in "$1/$part"/*; do
			show "$played" "/sys/$part/${played##*/}"
		done
	done
}

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=755 home "$root/home"
mount -t tmpfs -o mode=700 home "$root/root"
mkdir "$root/run/bed" "$root/run/sshd" "$root/run/old"
cp -a --remove-destination "$NODE_DIR/etc/." "$root/etc/"
cp "$NODE_DIR/init.sh" "$root/run/bed/init.sh"
show "$NODE_DIR/var-tmp" /var/tmp
mount --bind "$NODE_DIR/boot_id" "$root/proc/sys/kernel/random/boot_id"
. "$NODE_DIR/plan.sh"

cd "$root"
pivot_root . run/old
cd /
umount -l /run/old
rmdir /run/old
exec /bin/sh /run/bed/init.sh
