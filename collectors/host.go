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

// parseCPUInfo counts /proc/cpuinfo. On x86 it names model, socket and core of each CPU; on arm64 it only counts them.
func parseCPUInfo(b []byte) *facts.CPU {
	c := &facts.CPU{}
	sockets := map[string]bool{}
	cores := map[string]bool{}
	socket := ""
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
