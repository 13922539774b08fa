package cli

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"foretop/export"
	"foretop/fleet"
	"foretop/scripts/testbed"
	"foretop/sshpool"
	"foretop/telemetry"
	"foretop/telemetry/facts"
	"foretop/ui"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"golang.org/x/crypto/ssh"
)

// hostile is what an attacker puts into text: what terminals obey, what lies about what is shown, and what is no text at all.
var hostile = []string{
	"\x1b]0;owned\x07", "\x1b[2J\x1b[H", "\x1b]52;c;ZWNobyBvd25lZA==\x07", "\x1bP+q544e\x1b\\", "\x9b31m", "\u009d0;owned\u009c", "\x1b[?1049l", "\x1b[6n",
	"\r\nfake line", "\b\b\b\b", "\x00", "\x7f", "\u202egnp.exe", "\u2066\u2069", "\u200b\ufeff", "a\u0300\u0300\u0300\u0300\u0300\u0300", "\U000e0041", "\x0e\x0f", "\t\v\f",
}

// attack is all of it in one text that protobuf takes; broken UTF-8 has a node of its own.
var attack = "pwn" + strings.Join(slices.DeleteFunc(slices.Clone(hostile), func(s string) bool { return s == "\x9b31m" }), "x") + "end"

// server is an SSH server that is no foretop node, whatever it says. say gets the stream behind the start line; unstarted servers get to speak before it.
type server struct {
	signer    ssh.Signer
	listener  net.Listener
	banner    string
	unstarted bool
	say       func(ssh.Channel)
	sent      atomic.Int64
}

func serve(t *testing.T, s *server) *server {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	s.signer, err = ssh.NewSignerFromKey(private)
	must(t, err)
	config := &ssh.ServerConfig{NoClientAuth: true}
	if s.banner != "" {
		config.NoClientAuth = false
		config.BannerCallback = func(ssh.ConnMetadata) string { return s.banner }
		config.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, io.EOF }
	}
	config.AddHostKey(s.signer)
	s.listener, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { s.listener.Close() })
	go func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			go s.connection(conn, config)
		}
	}()
	return s
}

func (s *server) connection(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for n := range channels {
		channel, requests, err := n.Accept()
		if err != nil {
			return
		}
		go s.session(channel, requests)
	}
}

func (s *server) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		if r.Type != "exec" {
			_ = r.Reply(false, nil)
			continue
		}
		nonce, _ := telemetry.NonceIn(string(r.Payload))
		_ = r.Reply(true, nil)
		go ssh.DiscardRequests(requests)
		if !s.unstarted {
			_, _ = io.WriteString(channel, attack+"\n"+telemetry.StreamLine(nonce))
		}
		s.say(channel)
		return
	}
}

func (s *server) target(t *testing.T, name string) sshpool.Target {
	addr := s.listener.Addr().(*net.TCPAddr)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	key, err := ssh.NewSignerFromKey(private)
	must(t, err)
	return sshpool.Target{Name: name, Resolved: &sshpool.Resolved{Alias: name, HostName: "127.0.0.1", Port: addr.Port, User: "u", IdentityAgent: "none", IdentitiesOnly: true,
		HostKeys: []ssh.PublicKey{s.signer.PublicKey()}, Signers: []ssh.Signer{key}}}
}

// pour sends the same block until the other end has enough, and counts.
func (s *server) pour(block []byte) func(ssh.Channel) {
	return func(c ssh.Channel) {
		for {
			n, err := c.Write(block)
			s.sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
}

func frame(kind telemetry.Kind, m facts.Message) []byte {
	b, err := facts.Encode(m)
	if err != nil {
		panic(err)
	}
	return telemetry.AppendFrame(nil, kind, b)
}

func speak(frames ...[]byte) func(ssh.Channel) {
	return func(c ssh.Channel) {
		for _, f := range frames {
			_, _ = c.Write(f)
		}
		time.Sleep(time.Minute)
	}
}

// liar is a node that keeps to the protocol and says hostile things in every text there is, once a second.
func liar(c ssh.Channel) {
	hello := &facts.Hello{ProtocolMajor: telemetry.ProtocolMajor, Build: attack, BootId: attack, MachineId: attack, Hostname: attack, Os: attack, Kernel: attack,
		Arch: attack, User: attack, MonoMs: 1000, WallMs: time.Now().UnixMilli()}
	inventory := &facts.Inventory{Cpu: &facts.CPU{Model: attack, Threads: 1, Cores: 1, Sockets: 1}, MemoryTotalBytes: 1 << 30, GpuDriverVersion: attack, CudaVersion: attack, Product: attack,
		Gpus:        []*facts.GPU{{Uuid: attack, Name: attack, Pci: attack, Serial: attack, Vbios: attack, Vendor: attack}},
		Ports:       []*facts.Port{{Device: attack, Port: 1, LinkLayer: attack, Netdev: attack, Rate: attack, Driver: attack}},
		Nets:        []*facts.Net{{Name: attack, Driver: attack, Physical: true}},
		Disks:       []*facts.Disk{{Name: attack, Model: attack}},
		Filesystems: []*facts.Filesystem{{Mount: attack, Device: attack, Type: attack}},
		Sources:     []*facts.Source{{Name: attack, EveryMs: 1000}},
	}
	processes := &facts.Processes{Whole: true, Set: []*facts.Process{{Pid: 7, StartTicks: 1, User: attack, Comm: attack, Command: attack, Cgroup: attack, Cwd: attack,
		EnvState: facts.EnvState_ENV_READ, Rank: true, Held: []*facts.Held{{Gpu: 0, MemoryBytes: 1, MemoryKnown: true}},
		Env: map[string]string{"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": attack, "MASTER_PORT": attack, "TORCHELASTIC_RUN_ID": attack, "SLURM_JOB_NAME": attack}}}}
	notes := &facts.SourceNotes{Notes: []*facts.SourceNote{{Source: 0, State: facts.SourceState_SOURCE_FAILING, Text: attack, Remedy: attack}}}
	var state telemetry.State
	var encoder telemetry.Encoder
	state.Resize(telemetry.ScopeNode, 1)
	state.Resize(telemetry.ScopeGroup, int(telemetry.NumGroups))
	for _, scope := range []telemetry.Scope{telemetry.ScopeSource, telemetry.ScopeGPU, telemetry.ScopePort, telemetry.ScopeNet, telemetry.ScopeDisk, telemetry.ScopeFS, telemetry.ScopeCore} {
		state.Resize(scope, 1)
	}
	state.Set(telemetry.GPUStatus, 0, telemetry.GPUOK)
	state.Set(telemetry.GPUPowerMW, 0, 300_000)
	state.Set(telemetry.GPUPowerLimitMW, 0, 700_000)
	for _, f := range [][]byte{frame(telemetry.KindHello, hello), frame(telemetry.KindInventory, inventory), frame(telemetry.KindProcesses, processes), frame(telemetry.KindSourceNotes, notes)} {
		if _, err := c.Write(f); err != nil {
			return
		}
	}
	go io.Copy(io.Discard, c)
	for mono, sequence := int64(2000), uint64(1); ; mono, sequence = mono+1000, sequence+1 {
		for g := range telemetry.NumGroups {
			state.Set(telemetry.ReadMS, int(g), mono)
		}
		log := &facts.KernelLog{Records: []*facts.KernelRecord{{Sequence: sequence, Level: 3, MonoUs: mono * 1000, Text: "NVRM: Xid (PCI:0000:01:00): 79, " + attack}}, Via: attack}
		out := telemetry.AppendFrame(nil, telemetry.KindSample, encoder.Encode(nil, &state, 1, mono, telemetry.Base, mono == 2000))
		if _, err := c.Write(append(out, frame(telemetry.KindKernelLog, log)...)); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// A node may be anybody's. Whatever it sends costs bounded memory, is told as what it is, reaches the terminal only as plain text, and delays nobody.
func TestBedHostileNodes(t *testing.T) {
	bed := testbed.Nodes(t, 1)
	brokenHello := frame(telemetry.KindHello, &facts.Hello{ProtocolMajor: telemetry.ProtocolMajor, Hostname: "broken HERE"})
	copy(brokenHello[bytes.Index(brokenHello, []byte("HERE")):], "\xff\xfe\xc0\x80")
	nodes := map[string]struct {
		server *server
		state  fleet.State
		cause  string
	}{
		"four-gigabytes": {&server{say: speak(binary.AppendUvarint(nil, 4<<30), make([]byte, 1<<16))}, fleet.Misbehaving, "frame of 4294967296 bytes"},
		"endless-length": {&server{say: speak(bytes.Repeat([]byte{0xff}, 64))}, fleet.Misbehaving, "length"},
		"zeros":          {&server{}, fleet.Misbehaving, "frame of no bytes"},
		"zeros-at-once":  {&server{unstarted: true}, fleet.Misbehaving, "more than 1 MiB"},
		"broken-utf8":    {&server{say: speak(brokenHello)}, fleet.Misbehaving, "."},
		"noise-in-frame": {&server{say: speak(telemetry.AppendFrame(nil, telemetry.KindHello, bytes.Repeat([]byte(attack), 20)))}, fleet.Misbehaving, "."},
		"flood":          {&server{}, fleet.Misbehaving, "more than it may send"},
		"last-words": {&server{unstarted: true, say: func(c ssh.Channel) {
			_, _ = io.WriteString(c.Stderr(), attack+"\n")
			_, _ = c.SendRequest("exit-status", false, []byte{0, 0, 0, 9})
		}}, fleet.Refused, "exit 9"},
		"banner": {&server{banner: attack + "\r\n"}, fleet.NeedsAuth, "."},
		"liar":   {&server{say: liar}, fleet.Live, ""},
	}
	nodes["zeros"].server.say = nodes["zeros"].server.pour(make([]byte, 32<<10))
	nodes["zeros-at-once"].server.say = nodes["zeros-at-once"].server.pour(make([]byte, 32<<10))
	nodes["flood"].server.say = func(c ssh.Channel) {
		_, _ = c.Write(frame(telemetry.KindHello, &facts.Hello{ProtocolMajor: telemetry.ProtocolMajor, Hostname: "flood"}))
		nodes["flood"].server.pour(bytes.Repeat(telemetry.AppendFrame(nil, 99, make([]byte, 8000)), 4))(c)
	}
	targets := named(bed.Names()...)
	for name, n := range nodes {
		targets = append(targets, serve(t, n.server).target(t, name))
	}
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	o := observe(t, sshpool.Config{ConfigFile: bed.SSHConfig}, targets...)
	most := uint64(0)
	watch := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}
	for name, n := range nodes {
		m := o.reaches(name, n.state, n.cause, time.Time{}, 30*time.Second)
		t.Logf("%-15s %v, %d KB sent", name, m.String()[:min(len(m.String()), 160)], n.server.sent.Load()>>10)
		if n.state == fleet.Misbehaving && m.remedy == "" {
			t.Errorf("%s: no remedy", name)
		}
		watch()
	}
	healthy := o.reaches("node001", fleet.Live, "", time.Time{}, 30*time.Second)
	for range 30 {
		time.Sleep(100 * time.Millisecond)
		watch()
	}
	if more := int64(most) - int64(before.HeapAlloc); more > 96<<20 {
		t.Errorf("%d MB of memory for hostile nodes", more>>20)
	} else {
		t.Logf("%d MB of memory at most, %d MB before", most>>20, before.HeapAlloc>>20)
	}
	for _, name := range []string{"zeros", "zeros-at-once", "flood"} {
		if sent := nodes[name].server.sent.Load(); sent > 64<<20 {
			t.Errorf("%s: %d MB were taken from it", name, sent>>20)
		}
	}
	o.steadySince("node001", healthy.at)
	snap := o.Snapshot()
	if n := snap.Node("liar"); len(n.Kernel) == 0 || len(n.Processes) == 0 || len(snap.Jobs) == 0 {
		t.Errorf("the liar's words are not there to be shown: %d kernel lines, %d processes, %d jobs", len(n.Kernel), len(n.Processes), len(snap.Jobs))
	}
	shown := everyScreen(o.station, snap)
	for _, s := range shown {
		if bad := raw(s); bad != "" {
			t.Errorf("raw on the screen: %q in\n%q", bad, s)
		}
	}
	for _, print := range []func(io.Writer) error{
		func(w io.Writer) error { return export.JSON(w, snap) },
		func(w io.Writer) error { return export.Table(w, snap, 0) },
		func(w io.Writer) error { _ = notLive(w, snap, time.Second, nil); return nil },
	} {
		var b bytes.Buffer
		must(t, print(&b))
		if bad := raw(b.String()); bad != "" {
			t.Errorf("raw in what is printed: %q", bad)
		}
	}
	if all := strings.Join(shown, ""); !strings.Contains(all, "pwn") {
		t.Error("the hostile words, cleaned, are on no screen: this test sees nothing")
	}
}

// everyScreen draws the screens on which a node's words stand, from the liar's point of view.
func everyScreen(s *station, snap *fleet.Snapshot) (shown []string) {
	m := ui.New(ui.Options{Source: s, Profile: colorprofile.TrueColor})
	var model tea.Model = m
	press := func(keys ...tea.KeyPressMsg) {
		for _, k := range keys {
			model, _ = model.Update(k)
			shown = append(shown, m.View().Content)
		}
	}
	letter := func(r rune) tea.KeyPressMsg { return tea.KeyPressMsg{Code: r, Text: string(r)} }
	enter := tea.KeyPressMsg{Code: tea.KeyEnter}
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		model, _ = model.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		model, _ = model.Update(ui.SnapshotMsg{Snapshot: snap})
		press(letter('1'), enter, enter, letter('L'), letter('1'), letter('2'), letter('/'))
		for _, r := range "liar" {
			press(letter(r))
		}
		press(enter, enter, letter('L'), tea.KeyPressMsg{Code: tea.KeyEscape}, tea.KeyPressMsg{Code: tea.KeyEscape}, letter('\\'))
		for range snap.Nodes {
			press(letter('j'))
		}
	}
	return shown
}

// colour is what the screen itself writes beside text.
var colour = regexp.MustCompile(`\x1b\[[0-9;:]*m|\x1b\]8;[^\x1b\x07]*(\x1b\\|\x07)`)

// raw finds what a terminal would obey, or what is not what it looks like, in text from which the screen's own colours were taken.
func raw(s string) string {
	if !utf8.ValidString(s) {
		return "broken UTF-8"
	}
	s = colour.ReplaceAllString(s, "")
	for i, r := range s {
		switch {
		case r == '\n':
		case r < ' ', r >= 0x7f && r < 0xa0, r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\u200b', r == '\ufeff', r >= 0xe0000 && r < 0xe0100:
			return fmt.Sprintf("%U at %q", r, s[max(0, i-20):min(len(s), i+20)])
		}
	}
	return ""
}
