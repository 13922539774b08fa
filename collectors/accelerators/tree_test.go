package accelerators

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"

	"github.com/rogpeppe/go-internal/txtar"
)

// tree is a machine's /sys and /proc in a folder of the test, with a clock; it sees which files are opened, and plays the errors of drivers.
type tree struct {
	t      testing.TB
	root   kernfs.Root
	ms     int64
	opened map[string]int
	errors map[string]error // by the end of a file's name: what reading it gives
}

func newTree(t testing.TB) *tree {
	return &tree{t: t, root: kernfs.Root(t.TempDir()), ms: 1_000_000, opened: map[string]int{}, errors: map[string]error{}}
}

func (tr *tree) put(name string, text any) {
	tr.t.Helper()
	path := tr.root.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	data, ok := text.([]byte)
	if !ok {
		data = []byte(fmt.Sprintln(text))
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) link(name, target string) {
	tr.t.Helper()
	path := tr.root.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	os.Remove(path)
	if err := os.Symlink(target, path); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) remove(name string) {
	tr.t.Helper()
	if err := os.RemoveAll(tr.root.Path(name)); err != nil {
		tr.t.Fatal(err)
	}
}

// lay lays out one of testdata/host's machines.
func (tr *tree) lay(name string) {
	tr.t.Helper()
	a, err := txtar.ParseFile(filepath.Join("..", "..", "testdata", "host", name+".txtar"))
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, f := range a.Files {
		file, target, isLink := strings.Cut(f.Name, " -> ")
		if isLink {
			tr.link(file, target)
			continue
		}
		if plain, isHex := strings.CutSuffix(file, ".hex"); isHex {
			tr.put(plain, fromHex(tr.t, f.Data))
		} else {
			tr.put(file, f.Data)
		}
	}
}

// fromHex reads a binary file as the fixtures write one.
func fromHex(t testing.TB, text []byte) (data []byte) {
	t.Helper()
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.Fields(line) {
			digits, times, repeated := strings.Cut(word, "*")
			n, err := 1, error(nil)
			if repeated {
				n, err = strconv.Atoi(times)
			}
			b, bad := hex.DecodeString(digits)
			if err = errors.Join(err, bad); err != nil {
				t.Fatal(err)
			}
			data = append(data, bytes.Repeat(b, n)...)
		}
	}
	return data
}

func (tr *tree) sysfs() sysfs {
	s := newSysfs(tr.root)
	s.played = func(name string) held {
		f := &playedFile{tr, name, tr.root.Hold(name)}
		tr.t.Cleanup(f.Close)
		return f
	}
	return s
}

func (tr *tree) machine() Machine {
	return Machine{Root: tr.root, Mono: func() int64 { return tr.ms }}
}

type playedFile struct {
	tr   *tree
	name string
	file *kernfs.File
}

func (f *playedFile) Read() ([]byte, error) {
	f.tr.opened[f.name]++
	for end, err := range f.tr.errors {
		if strings.HasSuffix(f.name, end) {
			f.file.Close()
			return nil, &fs.PathError{Op: "read", Path: f.name, Err: err}
		}
	}
	return f.file.Read()
}

func (f *playedFile) Close() { f.file.Close() }

// touched are the files of a device that were read since the last call.
func (tr *tree) touched(device string) (names []string) {
	for name := range tr.opened {
		if strings.Contains(name, device) {
			names = append(names, name)
		}
	}
	clear(tr.opened)
	return names
}

// runs is a reader at work on a tree.
type runs struct {
	*tree
	r   *drmReader
	err error
}

func (tr *tree) amd() *runs   { return tr.run(newAMDReader(tr.machine(), tr.sysfs())) }
func (tr *tree) intel() *runs { return tr.run(newIntelReader(tr.machine(), tr.sysfs())) }

func (tr *tree) run(r *drmReader) *runs {
	tr.t.Cleanup(r.Close)
	return &runs{tree: tr, r: r}
}

// tick lets time pass and reads.
func (u *runs) tick(ms int64) *runs {
	u.ms += ms
	u.err = u.r.Read(context.Background(), true)
	return u
}

func (u *runs) get(m telemetry.Metric, i int) int64 { return u.r.Reading().State.Get(m, i) }

func (u *runs) want(m telemetry.Metric, i int, v int64) {
	u.t.Helper()
	if got := u.get(m, i); got != v {
		d, _ := telemetry.Lookup(m)
		u.t.Errorf("%s of %d is %d, want %d", d.Name, i, got, v)
	}
}

// held checks who holds what, whatever their order.
func (u *runs) held(want ...Holder) {
	u.t.Helper()
	words := func(list []Holder) (w []string) {
		for _, h := range list {
			w = append(w, fmt.Sprint(h))
		}
		slices.Sort(w)
		return w
	}
	if got := u.r.Reading().Holders; !slices.Equal(words(got), words(want)) {
		u.t.Errorf("held: got %v, want %v", got, want)
	}
}

// says checks what the reader says of itself.
func (u *runs) says(state facts.SourceState, words string) {
	u.t.Helper()
	var c *Condition
	switch {
	case words == "" && u.err == nil:
	case !errors.As(u.err, &c) || c.State != state || !strings.Contains(c.Text, words):
		u.t.Errorf("says %v, want %v %q", u.err, state, words)
	}
}

// mi300x makes a card of its bare necessities.
func (tr *tree) mi300x(number int, address string) (device string) {
	device = "sys/devices/pci0000:00/" + address
	tr.link("sys/bus/pci/devices/"+address, "../../../devices/pci0000:00/"+address)
	tr.link(fmt.Sprintf("sys/class/drm/card%d", number), fmt.Sprintf("../../devices/pci0000:00/%s/drm/card%d", address, number))
	tr.link(fmt.Sprintf("%s/drm/card%d/device", device, number), "../../../"+address)
	tr.link(device+"/driver", "../../../bus/pci/drivers/amdgpu")
	for name, text := range map[string]any{
		"vendor": "0x1002", "device": "0x74a1", "class": "0x120000", "unique_id": "0123456789abc" + address[5:7] + "f", "power/runtime_status": "active",
		"mem_info_vram_total": 192 << 30, "mem_info_vram_used": 1 << 30, "gpu_busy_percent": 7, "gpu_metrics": buildMetrics(7, every),
	} {
		tr.put(device+"/"+name, text)
	}
	return device
}
