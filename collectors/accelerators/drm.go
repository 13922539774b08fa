package accelerators

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

const drmClass = "sys/class/drm"

// held is a file kept open: a [kernfs.File].
type held interface {
	Read() ([]byte, error)
	Close()
}

// sysfs is how the files of a device are read: all of them through here, so that a test sees which are touched and can play the driver's errors.
type sysfs struct {
	root   kernfs.Root
	buf    *[]byte
	denied *string                // the first file that this user may not read
	played func(name string) held // nil: the files themselves
}

func newSysfs(root kernfs.Root) sysfs {
	return sysfs{root: root, buf: new([]byte), denied: new(string)}
}

// open gives a file that is read often.
func (s sysfs) open(name string) held {
	if s.played != nil {
		return s.played(name)
	}
	return s.root.Hold(name)
}

// read gives the content of a file that is read seldom, valid until the next call.
func (s sysfs) read(name string) ([]byte, error) {
	if s.played != nil {
		return s.played(name).Read()
	}
	b, err := s.root.Read(name, *s.buf)
	*s.buf = b
	return b, err
}

// word is a file's text, clean and without the blanks around it; empty when it cannot be read.
func (s sysfs) word(name string) string {
	b, err := s.read(name)
	if err != nil {
		return ""
	}
	return telemetry.Clean(string(kernfs.Trim(b)), 128)
}

// number is a file's decimal value, absent when it has none.
func (s sysfs) number(name string) int64 {
	b, err := s.read(name)
	if err != nil {
		return telemetry.Absent
	}
	return parseNumber(b)
}

// hex is a file's value, 0 when it has none.
func (s sysfs) hex(name string) uint64 {
	b, err := s.read(name)
	if err != nil {
		return 0
	}
	v, _ := parseHex(kernfs.Trim(b))
	return v
}

// parseNumber reads a number without sign: what of a card is negative is no reading.
func parseNumber(b []byte) int64 {
	v, ok := kernfs.ParseUint(kernfs.Trim(b))
	if !ok || v > 1<<62 {
		return telemetry.Absent
	}
	return int64(v)
}

// scaled divides a reading, absent staying absent.
func scaled(v, by int64) int64 {
	if v == telemetry.Absent {
		return v
	}
	return v / by
}

// Why a card's files cannot be read now, though its driver is there.
var (
	errBusy   = errors.New("in reset, or being brought up: its driver says that it is busy")
	errLocked = errors.New("in reset or suspended: its driver lets nobody ask")
)

// gauge is a file read each second. What the driver does not have, or refuses for good, is not asked again: some refusals are logged by the kernel each time.
type gauge struct {
	file   held // nil: not asked
	seen   bool // it was read before
	denied *string
}

func (s sysfs) gauge(name string) gauge { return gauge{file: s.open(name), denied: s.denied} }

// read gives the file's content, nil without an error where the driver has none. An error is about the whole card: it is gone, busy, or broken.
func (g *gauge) read() ([]byte, error) {
	if g.file == nil {
		return nil, nil
	}
	b, err := g.file.Read()
	if err == nil {
		g.seen = true
		return b, nil
	}
	var path *fs.PathError
	atRead := errors.As(err, &path) && path.Op == "read"
	switch {
	case errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.EAGAIN):
		return nil, errBusy
	case errors.Is(err, syscall.EPERM) && atRead: // amdgpu of older kernels
		return nil, errLocked
	case kernfs.Gone(err) && g.seen:
		return nil, err
	case errors.Is(err, fs.ErrPermission):
		if *g.denied == "" && path != nil {
			*g.denied = path.Path
		}
		g.drop()
		return nil, nil
	case kernfs.Gone(err), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EOPNOTSUPP),
		errors.Is(err, syscall.ENODATA), errors.Is(err, syscall.ENXIO):
		g.drop()
		return nil, nil
	}
	return nil, err
}

// number is the file's decimal value, absent where the driver has none.
func (g *gauge) number() (int64, error) {
	b, err := g.read()
	if b == nil {
		return telemetry.Absent, err
	}
	return parseNumber(b), nil
}

func (g *gauge) drop() {
	if g.file != nil {
		g.file.Close()
		g.file = nil
	}
}

// entry is one reading of a card; at counts its parts or links, by the metric's scope.
type entry struct {
	metric telemetry.Metric
	at     int
	value  int64
}

// sheet is what one look at a card gave. What is absent is not on it.
type sheet []entry

func (s *sheet) put(m telemetry.Metric, v int64) { s.putAt(m, 0, v) }

func (s *sheet) putAt(m telemetry.Metric, at int, v int64) {
	if v != telemetry.Absent {
		*s = append(*s, entry{m, at, v})
	}
}

// drmCard is a graphics device of /sys/class/drm that is on the PCI bus.
type drmCard struct {
	pciIdentity
	name   string // card9
	dir    string // of the card itself
	device string // of its PCI device
}

// listCards lists the cards that one of the drivers runs, in the order of their PCI addresses. Connectors, render nodes and the cards of partitions, which are
// no PCI devices, are left out.
func listCards(sys sysfs, drivers []string) ([]drmCard, error) {
	names, err := sys.root.Names(drmClass)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var cards []drmCard
	for _, n := range names {
		number, ok := strings.CutPrefix(n, "card")
		if _, digits := kernfs.ParseUint([]byte(number)); !ok || !digits {
			continue
		}
		dir := drmClass + "/" + n
		address := sys.root.Target(dir + "/device")
		if !isPCIAddress(address) {
			continue
		}
		c := drmCard{name: n, dir: dir, device: dir + "/device"}
		if !slices.Contains(drivers, sys.root.Target(c.device+"/driver")) {
			continue
		}
		c.pciIdentity = readPCI(sys, address)
		cards = append(cards, c)
		for i := len(cards) - 1; i > 0 && cards[i].address < cards[i-1].address; i-- { // a generic sort of them would be 15 KB of code
			cards[i], cards[i-1] = cards[i-1], cards[i]
		}
	}
	return cards, nil
}

// asleep says whether the kernel has put the device to sleep. Asking it anything else would wake it.
func asleep(b []byte) bool {
	switch string(kernfs.Trim(b)) {
	case "suspended", "suspending":
		return true
	}
	return false
}

// readLink is what a symbolic link holds, empty when it may not be read.
func readLink(sys sysfs, name string) string {
	t, err := os.Readlink(sys.root.Path(name))
	if err != nil {
		return ""
	}
	return t
}

// hwmonDir is the folder of the driver's own sensors, empty when it has none.
func hwmonDir(sys sysfs, device, name string) string {
	names, _ := sys.root.Names(device + "/hwmon")
	for _, n := range names {
		if dir := device + "/hwmon/" + n; sys.word(dir+"/name") == name {
			return dir
		}
	}
	return ""
}

// sensors are the temperatures of a hwmon folder by the number N of tempN_input: their labels.
type sensors struct {
	hwmon  string
	labels [8]string
}

func listSensors(sys sysfs, hwmon string) (s sensors) {
	s.hwmon = hwmon
	for i := range s.labels {
		s.labels[i] = sys.word(s.file(i) + "_label")
	}
	return s
}

func (s *sensors) file(i int) string { return s.hwmon + "/temp" + string(rune('1'+i)) }

// find gives the beginning of a sensor's files, empty when there is none.
func (s *sensors) find(label string) string {
	for i, l := range s.labels {
		if l == label {
			return s.file(i)
		}
	}
	return ""
}

func (s *sensors) gauge(sys sysfs, label string) gauge {
	if file := s.find(label); file != "" {
		return sys.gauge(file + "_input")
	}
	return gauge{}
}
