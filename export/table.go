package export

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"foretop/fleet"
)

// Table writes the snapshot as plain aligned text: totals, a row a node, a row a job. There is no colour in it; what is absent is "-". A node that is
// not live shows its cause in the last column, one that is, its worst problem. Lines keep to width cells: columns of numbers go first, then lines are cut; 0
// is no limit.
func Table(w io.Writer, s *fleet.Snapshot, width int) error {
	t := &text{w: bufio.NewWriter(w), width: width}
	t.wrap(summary(s))
	t.line("")
	if len(s.Nodes) > 0 {
		t.table(nodeColumns, nodeRows(s))
		t.line("")
	}
	if rows := jobRows(s); len(rows) > 0 {
		t.table(jobColumns, rows)
	} else if s.Totals.ByState[fleet.Live] > 0 {
		t.line("No jobs seen: no process on these nodes holds a GPU or is a rank.")
	} else {
		t.line("No jobs seen: no node is live.")
	}
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

var nodeColumns = []column{
	{"NODE", false, 0}, {"STATE", false, 0}, {"AGE", true, 8}, {"GPUS", true, 10}, {"HELD", true, 5}, {"UTIL", true, 11}, {"POWER", true, 6}, {"MEM", true, 9}, {"TEMP", true, 3},
	{"CPU", true, 4}, {"HOSTMEM", true, 1}, {"NET", true, 2}, {"JOBS", false, 7}, {"NOTE", false, 0},
}

var jobColumns = []column{
	{"JOB", false, 0}, {"NAME", false, 6}, {"USER", false, 8}, {"RANKS", true, 7}, {"NODES", false, 4}, {"GPUS", true, 9}, {"POWER", true, 5}, {"UTIL", true, 3}, {"MEM", true, 2}, {"NET", true, 1}, {"STATE", false, 0},
}

func summary(s *fleet.Snapshot) string {
	t := &s.Totals
	var states []string
	order := []fleet.State{fleet.Live, fleet.Stale, fleet.Lost, fleet.Misbehaving, fleet.Refused, fleet.NeedsTrust, fleet.NeedsAuth, fleet.Deploying, fleet.Connecting, fleet.Waiting}
	for _, st := range order {
		if n := t.ByState[st]; n > 0 {
			states = append(states, fmt.Sprintf("%d %s", n, st))
		}
	}
	out := plural(t.Nodes, "node")
	if len(states) > 0 {
		out += " (" + strings.Join(states, ", ") + ")"
	}
	out += fmt.Sprintf(", %s (%d held, %d idle, %d bad), %s, %d critical, %s", plural(t.GPUs, "GPU"), t.GPUsHeld, t.GPUsIdle, t.GPUsBad, plural(t.Jobs, "job"), t.Critical, plural(t.Warning, "warning"))
	if live := t.ByState[fleet.Live]; t.KernelLogRead < live {
		out += fmt.Sprintf(", kernel log read on %d of %d live", t.KernelLogRead, live)
		if t.XidRead > t.KernelLogRead {
			out += fmt.Sprintf(" (Xids on %d)", t.XidRead)
		}
	}
	return out
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func nodeRows(s *fleet.Snapshot) [][]string {
	ids := make(map[string]string, len(s.Jobs))
	for _, j := range s.Jobs {
		ids[j.Key] = j.ID
	}
	rows := make([][]string, len(s.Nodes))
	for i, n := range s.Nodes {
		row := []string{n.Name, n.State.String(), "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", ""}
		if age := n.Age(s.At); age >= 0 {
			row[2] = duration(age)
		}
		if n.State == fleet.Live || n.State == fleet.Stale {
			readings(row, n)
		}
		if len(n.Jobs) > 0 {
			row[12] = few(n.Jobs, ids)
		}
		if p := n.Worst(); p != nil && p.Severity > fleet.Notice {
			row[13] = p.Severity.String() + ": " + p.Text
		}
		if n.State != fleet.Live && n.Cause != "" {
			row[13] = n.Cause
			if n.Remedy != "" {
				row[13] += " (" + n.Remedy + ")"
			}
		}
		rows[i] = row
	}
	return rows
}

// readings fills a node's row with sums and means over its GPUs.
func readings(row []string, n *fleet.Node) {
	if n.Inventory == nil {
		return
	}
	var util, power, used, total, temp sum
	held := 0
	for i := range n.GPUs {
		g := &n.GPUs[i]
		util.add(g.UtilPct)
		power.add(g.PowerW)
		used.add(g.MemUsedBytes)
		total.add(g.MemTotalBytes)
		temp.max(g.TempC)
		if len(g.Holders) > 0 {
			held++
		}
	}
	var net sum
	for i := range n.Ports {
		net.add(n.Ports[i].RcvBytesPerS)
		net.add(n.Ports[i].XmitBytesPerS)
	}
	for i := range n.Nets {
		if n.Nets[i].Physical && !isPort(n, n.Nets[i].Name) {
			net.add(n.Nets[i].RxBytesPerS)
			net.add(n.Nets[i].TxBytesPerS)
		}
	}
	row[3] = fmt.Sprint(len(n.GPUs))
	if len(n.GPUs) > 0 {
		row[4] = fmt.Sprint(held)
	}
	row[5], row[6], row[7] = percent(util.mean()), watts(power.total()), part(used.total(), total.total())
	row[8] = whole(temp.total(), "C")
	row[9], row[10], row[11] = percent(n.Host.CPUBusyPct), part(n.Host.MemUsedBytes, n.Host.MemTotalBytes), rate(net.total())
}

// isPort says whether an interface is an RDMA port's, whose traffic is counted there.
func isPort(n *fleet.Node, name string) bool {
	for i := range n.Ports {
		if n.Ports[i].Netdev == name {
			return true
		}
	}
	return false
}

func jobRows(s *fleet.Snapshot) [][]string {
	rows := make([][]string, len(s.Jobs))
	for i, j := range s.Jobs {
		ranks := "-"
		if j.World > 0 {
			ranks = fmt.Sprintf("%d/%d", len(j.Ranks), j.World)
		} else if len(j.Ranks) > 0 {
			ranks = fmt.Sprint(len(j.Ranks))
		}
		rows[i] = []string{
			j.ID, or(j.Name, "-"), or(j.User, "-"), ranks, few(j.Nodes, nil), fmt.Sprint(len(j.GPUs)), percent(j.PowerPct), percent(j.UtilPct), part(j.MemUsedBytes, j.MemTotalBytes),
			rate(j.NetBytesPerS), j.StateText,
		}
	}
	return rows
}

// few names the first, and how many more there are.
func few(names []string, as map[string]string) string {
	if len(names) == 0 {
		return "-"
	}
	first := or(as[names[0]], names[0])
	if len(names) == 1 {
		return first
	}
	return fmt.Sprintf("%s +%d", first, len(names)-1)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// sum adds known readings.
type sum struct {
	v float64
	n int
}

func (s *sum) add(r fleet.Reading) {
	if r.Known() {
		s.v += float64(r)
		s.n++
	}
}

func (s *sum) max(r fleet.Reading) {
	if r.Known() && (s.n == 0 || float64(r) > s.v) {
		s.v, s.n = float64(r), s.n+1
	}
}

func (s *sum) total() fleet.Reading {
	if s.n == 0 {
		return fleet.None()
	}
	return fleet.Reading(s.v)
}

func (s *sum) mean() fleet.Reading {
	if s.n == 0 {
		return fleet.None()
	}
	return fleet.Reading(s.v / float64(s.n))
}

func whole(r fleet.Reading, unit string) string {
	if !r.Known() || math.Abs(float64(r)) > 1e15 {
		return "-"
	}
	return fmt.Sprintf("%.0f%s", math.Round(float64(r)), unit)
}

func percent(r fleet.Reading) string { return whole(r, "%") }

func watts(r fleet.Reading) string {
	if r.Known() && r >= 1000 {
		return fmt.Sprintf("%.1fkW", float64(r)/1000)
	}
	return whole(r, "W")
}

// part is "71/80G", GiB.
func part(used, all fleet.Reading) string {
	if !used.Known() && !all.Known() {
		return "-"
	}
	return whole(used/(1<<30), "") + "/" + whole(all/(1<<30), "G")
}

// rate is bytes a second in the unit that leaves three digits.
func rate(r fleet.Reading) string {
	if !r.Known() {
		return "-"
	}
	v := float64(r)
	for _, unit := range []string{"B/s", "kB/s", "MB/s", "GB/s"} {
		if v < 999.5 || unit == "GB/s" {
			if v < 9.95 && v > 0 && unit != "B/s" {
				return fmt.Sprintf("%.1f%s", v, unit)
			}
			return whole(fleet.Reading(v), unit)
		}
		v /= 1000
	}
	return "-"
}

func duration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%dh", d/time.Hour)
}
