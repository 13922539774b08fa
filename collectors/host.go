package collectors

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
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
	if packages := cpuPackages(r.m.root, cpu.Threads); packages > 0 {
		cpu.Sockets = packages
	}
	cpu.NumaNodes = numaNodes(r.m.root)
	product := telemetry.Clean(strings.TrimSpace(r.m.root.Word("sys/class/dmi/id/sys_vendor")+" "+r.m.root.Word("sys/class/dmi/id/product_name")), 128)
	brd := r.m.board
	brd.mu.Lock()
	defer brd.mu.Unlock()
	if was := brd.inventory.Cpu; was == nil || *was != *cpu || brd.inventory.Product != product {
		brd.inventory.Cpu, brd.inventory.Product = cpu, product
		brd.generation++
	}
	return nil
}

// armCores names the cores that Arm's own number tells (MIDR_EL1: implementer 0x41 and part, as /proc/cpuinfo has them): on arm64 the kernel gives no model name.
var armCores = map[string]string{
	"0xd0c": "Arm Neoverse-N1", "0xd40": "Arm Neoverse-V1", "0xd49": "Arm Neoverse-N2", "0xd4f": "Arm Neoverse-V2", "0xd83": "Arm Neoverse-V3AE", "0xd84": "Arm Neoverse-V3", "0xd8e": "Arm Neoverse-N3",
}

// cpuPackages counts the sockets where /proc/cpuinfo does not tell them, as on arm64 (sysfs: devices/system/cpu/cpuN/topology/physical_package_id).
func cpuPackages(root kernfs.Root, threads uint32) uint32 {
	seen := map[uint64]bool{}
	var buf []byte
	for i := range min(int(threads), telemetry.MaxEntities(telemetry.ScopeCore)) {
		n, b, err := root.Number("sys/devices/system/cpu/cpu"+strconv.Itoa(i)+"/topology/physical_package_id", buf)
		if buf = b; err == nil {
			seen[n] = true
		}
	}
	return uint32(len(seen))
}

// parseCPUInfo counts /proc/cpuinfo. On x86 it names model, socket and core of each CPU; on arm64 it counts them and tells whose design they are.
func parseCPUInfo(b []byte) *facts.CPU {
	c := &facts.CPU{}
	sockets := map[string]bool{}
	cores := map[string]bool{}
	socket, implementer := "", ""
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
			implementer = v
		case "CPU part":
			if name := armCores[v]; implementer == "0x41" && c.Model == "" {
				c.Model = name
			}
		case "physical id":
			socket = v
			sockets[v] = true
		case "core id":
			cores[socket+"/"+v] = true
		}
	}
	c.Sockets, c.Cores = uint32(max(len(sockets), 1)), uint32(len(cores))
	if c.Cores == 0 {
		c.Cores = c.Threads
	}
	return c
}

func numaNodes(root kernfs.Root) (n uint32) {
	names, _ := root.Names("sys/devices/system/node")
	for _, name := range names {
		if _, ok := kernfs.ParseUint([]byte(strings.TrimPrefix(name, "node"))); ok && strings.HasPrefix(name, "node") {
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
