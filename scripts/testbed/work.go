package testbed

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Work plays a training job on the machine h100: it rewrites the machine's files, in place, as a second of work would.
type Work struct {
	Second uint64

	t                             testing.TB
	root                          string
	r                             *rand.Rand
	files                         map[string]*os.File
	ports                         []string
	tails                         map[string]string // of a file whose first lines change: the rest of it
	rx, tx, net, user, idle, disk uint64
}

// NewWork takes over a machine that Machine laid out as h100, without its restricted function, which would only be skipped.
func NewWork(t testing.TB, root string) *Work {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(root, "sys/class/infiniband/mlx5_2")); err != nil {
		t.Fatal(err)
	}
	w := &Work{t: t, root: root, r: rand.New(rand.NewPCG(1, 2)), files: map[string]*os.File{}, tails: map[string]string{}, rx: 1 << 50, tx: 1 << 50, net: 1 << 40, user: 1e9, idle: 1e10, disk: 1 << 30}
	ports, err := os.ReadDir(filepath.Join(root, "sys/class/infiniband"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ports {
		w.ports = append(w.ports, p.Name())
	}
	t.Cleanup(func() {
		for _, f := range w.files {
			f.Close()
		}
	})
	return w
}

// Rand is the job's chance: the same in each run.
func (w *Work) Rand() *rand.Rand { return w.r }

// Talking says that this second is the last of a step of four, in which gradients travel.
func (w *Work) Talking() bool { return w.Second%4 == 3 }

// put rewrites a file in place: what was kept open sees it.
func (w *Work) put(name, text string) {
	f := w.files[name]
	if f == nil {
		var err error
		if f, err = os.OpenFile(filepath.Join(w.root, name), os.O_WRONLY, 0); err != nil {
			w.t.Fatal(err)
		}
		w.files[name] = f
	}
	_, err := f.WriteAt([]byte(text), 0)
	if err == nil {
		err = f.Truncate(int64(len(text)))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// head rewrites the first lines of a file.
func (w *Work) head(name string, lines ...string) {
	tail, ok := w.tails[name]
	if !ok {
		b, err := os.ReadFile(filepath.Join(w.root, name))
		if err != nil {
			w.t.Fatal(err)
		}
		tail = strings.Join(strings.SplitAfter(string(b), "\n")[len(lines):], "")
		w.tails[name] = tail
	}
	w.put(name, strings.Join(lines, "\n")+"\n"+tail)
}

// Step lets a second pass.
func (w *Work) Step() {
	r := w.r
	w.Second++
	w.user += 2000 + uint64(r.IntN(400))
	w.idle += 17000 + uint64(r.IntN(400))
	w.head("proc/stat", fmt.Sprintf("cpu  %d 0 %d %d %d 0 %d 0 0 0", w.user, w.user/5, w.idle, w.Second*3+uint64(r.IntN(3)), w.user/9))
	w.put("proc/loadavg", fmt.Sprintf("%02d.%02d 25.%02d 24.%02d 9/3120 918273\n", 22+r.IntN(4), r.IntN(100), w.Second/5%100, w.Second/30%100))
	w.head("proc/pressure/cpu", fmt.Sprintf("some avg10=0.00 avg60=0.01 avg300=0.00 total=%09d", 123456789+w.Second*900+uint64(r.IntN(3000))))
	w.head("proc/pressure/io", fmt.Sprintf("some avg10=0.00 avg60=0.01 avg300=0.00 total=%09d", 123456789+w.Second*5000+uint64(r.IntN(9000))))
	w.head("proc/meminfo", "MemTotal:       2113513616 kB", "MemFree:        906756808 kB", fmt.Sprintf("MemAvailable:   %d kB", 1813513616+r.IntN(40000)))
	w.net += 5_000_000 + uint64(r.IntN(9_000_000))
	w.head("proc/net/dev", "Inter-|   Receive                                                |  Transmit",
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed",
		"    lo: 5 0 0 0 0 0 0 0 5 0 0 0 0 0 0 0", fmt.Sprintf("ens6f0: %d %d 0 0 0 0 0 0 %d %d 0 0 0 0 0 0", w.net, w.net/1200, w.net/3, w.net/4000))
	w.disk += uint64(r.IntN(20_000))
	w.head("proc/diskstats", fmt.Sprintf(" 259 0 nvme0n1 %d 2 %d 30 %d 5 %d 60 0 %d 800", w.disk, w.disk*8, w.disk, w.disk*16, w.disk/9))
	for _, d := range w.ports {
		amount := uint64(r.IntN(20 << 20))
		if w.Talking() {
			amount = 20<<30 + uint64(r.IntN(8<<30))
		}
		w.rx += amount
		w.tx += amount + uint64(r.IntN(1<<20))
		counters := "sys/class/infiniband/" + d + "/ports/1/counters/"
		w.put(counters+"port_rcv_data", fmt.Sprintf("%d\n", w.rx/4))
		w.put(counters+"port_xmit_data", fmt.Sprintf("%d\n", w.tx/4))
		w.put(counters+"port_xmit_wait", fmt.Sprintf("%d\n", 1000+w.Second*3))
	}
}

// Rewrite changes one of a machine's files as a whole, by its text.
func Rewrite(t testing.TB, root, name string, change func(string) string) {
	t.Helper()
	path := filepath.Join(root, name)
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(change(string(text))), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
