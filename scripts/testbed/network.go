package testbed

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// network is one bridge with the first address of 10.213.third.0/24, and a port (one end of a veth pair) a node.
//
// Neighbour entries between this machine and the nodes are permanent, so that a node that is gone is silent, as behind
// a router; with ordinary ones the kernel would say "no route to host" after 3 s.
type network struct {
	third  int // third octet of the addresses
	bridge string
}

// newNetwork makes the bridge and marks it with its owner's name, by which reap knows it.
func newNetwork(owner string) (*network, error) {
	const octets = 250
	for i := range octets {
		n := &network{third: 2 + (os.Getpid()+i)%octets}
		n.bridge = fmt.Sprintf("ftb%d", n.third)
		if n.taken() {
			continue
		}
		// Making it is also how beds of several processes take turns: the kernel lets one have the name.
		err := ip("link", "add", n.bridge, "address", n.mac(0), "type", "bridge", "forward_delay", "0")
		if err != nil && strings.Contains(err.Error(), "File exists") {
			continue
		}
		if err != nil {
			return nil, err
		}
		err = errors.Join(
			ip("link", "set", n.bridge, "alias", owner),
			ip("addr", "add", n.addr(-9)+"/24", "dev", n.bridge),
			ip("link", "set", n.bridge, "up"),
		)
		if err != nil {
			return nil, errors.Join(err, n.close())
		}
		return n, nil
	}
	return nil, errors.New("every /24 of 10.213.0.0/16 is taken")
}

// taken says whether an interface of this machine already holds these addresses.
func (n *network) taken() bool {
	ours := netip.MustParseAddr(n.addr(-9))
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Contains(ours) {
			return true
		}
	}
	return false
}

// addr is the address of node i (1, 2, …); -9 is the bridge's own.
func (n *network) addr(i int) string { return fmt.Sprintf("10.213.%d.%d", n.third, 10+i) }

// mac is the locally administered hardware address of node i; 0 is the bridge's own.
func (n *network) mac(i int) string { return fmt.Sprintf("02:13:d5:%02x:00:%02x", n.third, i) }

// port is the name of this machine's end of node i's cable.
func (n *network) port(i int) string { return fmt.Sprintf("ft%dn%d", n.third, i) }

// plug runs a cable from the bridge to eth0 in the network namespace of process pid.
func (n *network) plug(i, pid int) error {
	err := ip("link", "add", n.port(i), "type", "veth",
		"peer", "name", "eth0", "address", n.mac(i), "netns", strconv.Itoa(pid))
	if err != nil {
		return err
	}
	return errors.Join(
		ip("link", "set", n.port(i), "master", n.bridge, "up"),
		ip("neigh", "replace", n.addr(i), "lladdr", n.mac(i), "dev", n.bridge, "nud", "permanent"),
	)
}

// unplug removes the cable, if there is one.
func (n *network) unplug(i int) error {
	path := filepath.Join("/sys/class/net", n.port(i))
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	err := ip("link", "del", n.port(i))
	if _, gone := os.Stat(path); gone != nil {
		return nil // by us, or by the kernel with the namespace of its other end
	}
	return err
}

// connect joins the cable to the bridge or takes it off. Off, both ends keep their carrier and every packet is dropped.
func (n *network) connect(i int, on bool) error {
	if on {
		return ip("link", "set", n.port(i), "master", n.bridge)
	}
	return ip("link", "set", n.port(i), "nomaster")
}

func (n *network) close() error { return ip("link", "del", n.bridge) }

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
