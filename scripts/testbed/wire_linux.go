package testbed

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Weather is what befalls packets on a wire, each way. It is what `tc netem` does, which not every kernel has.
type Weather struct {
	Delay  time.Duration
	Jitter time.Duration // up to so much more, at random: packets overtake each other
	Loss   float64       // share of packets that are lost
	Rate   int           // bytes a second; 0: as many as may be
	Queue  int           // bytes that wait for the rate, beyond which packets are dropped; 0: 256 KiB
	Hole   bool          // nothing passes, and nobody is told
}

// Wire is one more way to a node, by an address of its own. Every packet goes through this process: a TUN device here, and one that was moved into the node's network.
type Wire struct {
	Addr    string // of the node, at this wire
	weather atomic.Pointer[Weather]
	lost    atomic.Int64
	ends    [2]*os.File
	tasks   sync.WaitGroup
	over    chan struct{}
}

// Wire strings a wire to the node. It ends with Close; the node's end also with the node.
func (n *Node) Wire(w Weather) (*Wire, error) {
	pid, err := n.pid()
	if err != nil {
		return nil, err
	}
	here, there := fmt.Sprintf("ftw%dn%d", n.network.third, n.index), fmt.Sprintf("ftx%dn%d", n.network.third, n.index)
	ours, theirs := fmt.Sprintf("10.214.%d.%d", n.network.third, 2*n.index), fmt.Sprintf("10.214.%d.%d", n.network.third, 2*n.index+1)
	wire := &Wire{Addr: theirs, over: make(chan struct{})}
	wire.weather.Store(&w)
	if wire.ends[0], err = openTUN(here); err != nil {
		return nil, fmt.Errorf("string a wire to %s: %w", n.Name, err)
	}
	if wire.ends[1], err = openTUN(there); err != nil {
		wire.ends[0].Close()
		return nil, fmt.Errorf("string a wire to %s: %w", n.Name, err)
	}
	err = errors.Join(
		ip("link", "set", there, "netns", strconv.Itoa(pid)),
		ip("addr", "add", ours, "peer", theirs, "dev", here),
		ip("link", "set", here, "up"),
	)
	for _, args := range [][]string{{"addr", "add", theirs, "peer", ours, "dev", there}, {"link", "set", there, "up"}} {
		if err == nil {
			err = n.ip(pid, args...)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("string a wire to %s: %w", n.Name, err), wire.Close())
	}
	wire.tasks.Add(2)
	go wire.carry(wire.ends[0], wire.ends[1])
	go wire.carry(wire.ends[1], wire.ends[0])
	return wire, nil
}

// ip runs ip in the node's network.
func (n *Node) ip(pid int, args ...string) error {
	out, err := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(pid), "-n", "ip"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s on %s: %w: %s", strings.Join(args, " "), n.Name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// InNetwork is the beginning of a command line that runs a program of this machine in the node's network.
func (n *Node) InNetwork() ([]string, error) {
	pid, err := n.pid()
	return []string{"nsenter", "-t", strconv.Itoa(pid), "-n"}, err
}

func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Set changes the weather for the packets to come.
func (w *Wire) Set(weather Weather) { w.weather.Store(&weather) }

// Lost is how many packets were dropped so far.
func (w *Wire) Lost() int64 { return w.lost.Load() }

// Close takes the wire down.
func (w *Wire) Close() error {
	close(w.over)
	err := errors.Join(w.ends[0].Close(), w.ends[1].Close())
	w.tasks.Wait()
	return err
}

// carry takes packets from one end to the other until the wire is closed.
func (w *Wire) carry(from, to *os.File) {
	defer w.tasks.Done()
	flight := newFlight()
	w.tasks.Go(func() { flight.land(to, w.over) })
	buf := make([]byte, 64<<10)
	var free time.Time // when the line has sent what waits for the rate
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		now, sky := time.Now(), w.weather.Load()
		if sky.Hole || rand.Float64() < sky.Loss {
			w.lost.Add(1)
			continue
		}
		at := now
		if sky.Rate > 0 {
			queue := sky.Queue
			if queue == 0 {
				queue = 256 << 10
			}
			if free.Before(now) {
				free = now
			}
			if int(free.Sub(now).Seconds()*float64(sky.Rate)) > queue {
				w.lost.Add(1)
				continue
			}
			free = free.Add(time.Duration(n) * time.Second / time.Duration(sky.Rate))
			at = free
		}
		at = at.Add(sky.Delay)
		if sky.Jitter > 0 {
			at = at.Add(rand.N(sky.Jitter))
		}
		flight.take(packet{at, flight.number(), append([]byte(nil), buf[:n]...)})
	}
}

// packet is one on its way; those of one moment keep their order.
type packet struct {
	at     time.Time
	number int
	bytes  []byte
}

type packets []packet

func (p packets) Len() int { return len(p) }
func (p packets) Less(i, j int) bool {
	return p[i].at.Before(p[j].at) || p[i].at.Equal(p[j].at) && p[i].number < p[j].number
}
func (p packets) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *packets) Push(x any)   { *p = append(*p, x.(packet)) }
func (p *packets) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}

// flight is the packets that are on their way in one direction.
type flight struct {
	mu     sync.Mutex
	all    packets
	count  int
	sooner chan struct{} // one is due before all others
}

func newFlight() *flight { return &flight{sooner: make(chan struct{}, 1)} }

func (f *flight) number() int {
	f.count++
	return f.count
}

func (f *flight) take(p packet) {
	f.mu.Lock()
	heap.Push(&f.all, p)
	first := f.all[0].number == p.number
	f.mu.Unlock()
	if first {
		select {
		case f.sooner <- struct{}{}:
		default:
		}
	}
}

// land writes each packet when it is due.
func (f *flight) land(to *os.File, over <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		f.mu.Lock()
		wait := time.Hour
		var due *packet
		if len(f.all) > 0 {
			if wait = time.Until(f.all[0].at); wait <= 0 {
				p := heap.Pop(&f.all).(packet)
				due = &p
			}
		}
		f.mu.Unlock()
		if due != nil {
			_, _ = to.Write(due.bytes) // an end that is down takes none: lost
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-f.sooner:
		case <-over:
			return
		}
	}
}
