package collectors

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	"google.golang.org/protobuf/proto"
)

// hostReader puts the machine's own description into the inventory.
type hostReader struct {
	m *machine
}

func newHost(m *machine) reader { return &hostReader{m: m} }

func (r *hostReader) close() {}

func (r *hostReader) read(context.Context) error {
	b, err := r.m.root.Read("proc/cpuinfo", nil)
	if err != nil {
		return err
	}
	cpu := parseCPUInfo(b)
	if cpu.Sockets == 0 {
		cpu.Sockets = sockets(r.m.root)
	}
	cpu.NumaNodes = numaNodes(r.m.root)
	product := telemetry.Clean(strings.TrimSpace(r.m.root.Word("sys/class/dmi/id/sys_vendor")+" "+r.m.root.Word("sys/class/dmi/id/product_name")), 128)
	brd := r.m.board
	brd.mu.Lock()
	defer brd.mu.Unlock()
	if !proto.Equal(brd.inventory.Cpu, cpu) || brd.inventory.Product != product {
		brd.inventory.Cpu, brd.inventory.Product = cpu, product
		brd.generation++
	}
	return nil
}

// parseCPUInfo counts /proc/cpuinfo. On x86 it names model, socket and core of each CPU; on arm64 only who made the core, by number, and no socket:
// Sockets is 0 then.
func parseCPUInfo(b []byte) *facts.CPU {
	c := &facts.CPU{}
	sockets := map[string]bool{}
	cores := map[string]bool{}
	socket, maker := "", ""
	for len(b) > 0 {
		var l []byte
		l, b = kernfs.Line(b)
		key, value, ok := bytes.Cut(l, []byte{':'})
		if !ok {
			continue
		}
		v := string(kernfs.Trim(value))
		switch string(kernfs.Trim(key)) {
		case "processor":
			if _, ok := kernfs.ParseUint([]byte(v)); ok {
				c.Threads++
			}
		case "model name", "Model", "cpu model":
			if c.Model == "" {
				c.Model = telemetry.Clean(v, 128)
			}
		case "CPU implementer":
			maker = v
		case "CPU part":
			if c.Model == "" {
				c.Model = armCores[maker+" "+v]
			}
		case "physical id":
			socket = v
			sockets[v] = true
		case "core id":
			cores[socket+"/"+v] = true
		}
	}
	c.Sockets, c.Cores = uint32(len(sockets)), uint32(len(cores))
	if c.Cores == 0 {
		c.Cores = c.Threads
	}
	return c
}

// armCores are the server cores of arm64 by implementer and part (arch/arm64/include/asm/cputype.h).
var armCores = map[string]string{
	"0x41 0xd0c": "Arm Neoverse N1", "0x41 0xd49": "Arm Neoverse N2", "0x41 0xd8e": "Arm Neoverse N3",
	"0x41 0xd40": "Arm Neoverse V1", "0x41 0xd4f": "Arm Neoverse V2", "0x41 0xd84": "Arm Neoverse V3",
	"0x46 0x001": "Fujitsu A64FX", "0x48 0xd01": "HiSilicon TaiShan v110", "0xc0 0xac3": "Ampere AmpereOne", "0xc0 0xac4": "Ampere AmpereOne A",
}

// sockets counts the packages of the kernel's own topology, at least one.
func sockets(root kernfs.Root) uint32 {
	const dir = "sys/devices/system/cpu"
	names, _ := root.Names(dir)
	seen := map[string]bool{}
	for _, name := range names {
		if n, ok := strings.CutPrefix(name, "cpu"); ok && n != "" && n[0] >= '0' && n[0] <= '9' {
			if id := root.Word(dir + "/" + name + "/topology/physical_package_id"); id != "" && id != "-1" {
				seen[id] = true
			}
		}
	}
	return uint32(max(len(seen), 1))
}

// numaNodes counts the nodes that have CPUs: the memory of some accelerators makes nodes as well, dozens of them.
func numaNodes(root kernfs.Root) (n uint32) {
	const dir = "sys/devices/system/node"
	names, _ := root.Names(dir)
	for _, name := range names {
		number, ok := strings.CutPrefix(name, "node")
		if !ok {
			continue
		}
		if _, ok := kernfs.ParseUint([]byte(number)); ok && root.Word(dir+"/"+name+"/cpulist") != "" {
			n++
		}
	}
	return n
}

// hello says who is speaking.
func hello(root kernfs.Root, clock Clock, build string) *facts.Hello {
	h := &facts.Hello{
		ProtocolMajor: telemetry.ProtocolMajor, ProtocolMinor: telemetry.ProtocolMinor, Build: build,
		BootId: root.Word("proc/sys/kernel/random/boot_id"), MachineId: root.Word("etc/machine-id"), Hostname: root.Word("proc/sys/kernel/hostname"),
		Os: prettyName(root), Kernel: root.Word("proc/sys/kernel/osrelease"), Arch: runtime.GOARCH, Uid: uint32(os.Geteuid()),
		MonoMs: clock.MonoMS(), WallMs: clock.Now().UnixMilli(), Pid: int32(os.Getpid()),
		PidNamespace: namespaceOf("", "proc/self/ns/pid"),
	}
	if h.Hostname == "" {
		h.Hostname, _ = os.Hostname()
	}
	names := map[uint32]string{}
	if b, err := root.Read("etc/passwd", nil); err == nil {
		parsePasswd(b, names)
	}
	if h.User = names[h.Uid]; h.User == "" {
		h.User = telemetry.Clean(os.Getenv("USER"), maxUserName)
	}
	return h
}

func prettyName(root kernfs.Root) string {
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		b, err := root.Read(name, nil)
		if err != nil {
			continue
		}
		for len(b) > 0 {
			var l []byte
			l, b = kernfs.Line(b)
			if v, ok := bytes.CutPrefix(l, []byte("PRETTY_NAME=")); ok {
				return telemetry.Clean(string(bytes.Trim(kernfs.Trim(v), `"'`)), 128)
			}
		}
	}
	return runtime.GOOS
}
