# Process 1 of a test node. The node lives until this process ends: killed, or at the end of its standard input.
set -eu
echo "$NODE_NAME" >/proc/sys/kernel/hostname
ip link set lo up
read -r _ # the cable is there now
ip addr add "$NODE_ADDR/24" dev eth0
ip link set eth0 up
ip neigh replace "$NODE_GATEWAY" lladdr "$NODE_GATEWAY_MAC" dev eth0 nud permanent
if [ -n "${NODE_FUSE_HOME:-}" ]; then
	mkdir -p "$NODE_FUSE_HOME"
	bindfs /run/bed/home "$NODE_FUSE_HOME"
fi
"$NODE_SSHD" -t -f /etc/ssh/sshd_config # a configuration that it refuses ends the boot here
env -i PATH="$PATH" "$NODE_SSHD" -D -e -f /etc/ssh/sshd_config </dev/null &
exec >/dev/null 2>&1
# A child that waits, so that the shell meanwhile reaps the orphans that process 1 inherits.
cat
