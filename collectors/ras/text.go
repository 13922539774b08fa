package ras

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"foretop/telemetry/facts"
)

const versionWords = "NCCL version "

// textReport reads a report in text. The words are those of NCCL's src/ras/client_support.cc, 2.24.3 to 2.30.7.
type textReport struct {
	book
	begun  bool                      // it came to the communicators
	part   string                    // Errors, Warnings
	block  string                    // INCOMPLETE, DEAD, TIMEOUT: of the job as a whole
	groups map[string]*facts.RASComm // rows of the summary by number
	named  map[string]*facts.RASComm // communicators of which more is said
	comm   *facts.RASComm            // that lines are about now
	state  string                    // of the ranks that are listed now
	counts *facts.RASOperation       // that lines are about now
	at     []launched                // of counts
}

// launched is ranks that have launched equally many operations of a kind.
type launched struct {
	count uint64
	ranks uint32
	known []*facts.RASRank
}

func readText(r *bufio.Reader, first string) (*facts.RAS, error) {
	t := &textReport{book: *newBook(), groups: map[string]*facts.RASComm{}, named: map[string]*facts.RASComm{}}
	t.out.Form = "text"
	version, _, _ := strings.Cut(strings.TrimPrefix(first, versionWords), " ")
	t.out.Nccl = version
	for {
		l, err := line(r)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		t.line(l)
		if err != nil {
			break
		}
	}
	if !t.begun {
		return nil, ErrCutShort
	}
	t.leave()
	return t.report(), nil
}

func (t *textReport) line(l string) {
	inner := strings.TrimSpace(l)
	switch {
	case inner == "": // ends nothing: the counts of one communicator are apart
	case strings.HasPrefix(l, "Communicators..."), strings.HasPrefix(l, "Gathering data about the NCCL communicators"):
		t.leave()
		t.begun, t.part, t.block = true, "", ""
	case l == "Errors", l == "Warnings":
		t.leave()
		t.part, t.block = l, ""
	case l == Incomplete, l == "DEAD", l == "TIMEOUT":
		t.leave()
		t.block = l
	case l[0] == '#':
		t.enter(l)
	case !t.begun:
	case t.part == "":
		t.row(strings.Fields(l))
	case t.comm != nil:
		t.detail(inner)
	case t.block != "":
		t.job(inner)
	}
}

// row takes a row of the summary: group, communicators in it, nodes and ranks a node of each, ranks of each, ranks in all of the group, status, errors.
func (t *textReport) row(words []string) {
	if len(words) != 8 || len(t.groups) >= maxTroubled {
		return
	}
	_, ok := small(words[0])
	alike, ok1 := small(words[1])
	nodes, ok2 := small(words[2])
	size, ok3 := small(words[4])
	if !ok || !ok1 || !ok2 || !ok3 {
		return
	}
	if size == 0 { // where a communicator lacks ranks, 2.28.9 prints another one, which is well, as one without any, in INIT: nothing is known of that
		t.out.CommsTotal += alike
		return
	}
	c := &facts.RASComm{Name: "#" + words[0], Alike: alike, Nodes: nodes, Size: size, Status: words[6]}
	if words[7] != "OK" {
		c.Errors = words[7]
	}
	t.groups[words[0]] = c
	t.largest = max(t.largest, c.Size)
	if t.out.CommsTotal += c.Alike; c.Errors != "" {
		t.troubled = append(t.troubled, c)
	} else {
		t.order = append(t.order, c)
	}
}

// enter begins what is said of one communicator: "#0-0 (27a079b828ff1a75) MISMATCH".
func (t *textReport) enter(l string) {
	t.leave()
	t.block = ""
	words := strings.Fields(l)
	if len(words) != 3 || len(t.named) >= maxTroubled {
		return
	}
	c := t.named[words[0]]
	if c == nil {
		c = &facts.RASComm{Name: words[0], Hash: strings.Trim(words[1], "()")}
		number, _, _ := strings.Cut(strings.TrimPrefix(words[0], "#"), "-")
		if g := t.groups[number]; g != nil {
			c.Size, c.Nodes, c.Status = g.Size, g.Nodes, g.Status
		}
		t.named[words[0]] = c
		t.troubled = append(t.troubled, c)
	}
	if c.Errors == "" {
		c.Errors = words[2]
	} else if !strings.Contains(c.Errors, words[2]) {
		c.Errors += "," + words[2]
	}
	t.comm = c
}

// leave ends what is said of a communicator.
func (t *textReport) leave() {
	t.counted()
	t.comm, t.state = nil, ""
}

// counted ends what is said of a kind of operation.
func (t *textReport) counted() {
	op := t.counts
	if op == nil {
		return
	}
	for _, l := range t.at {
		op.Most = max(op.Most, l.count)
	}
	slices.SortStableFunc(t.at, func(a, b launched) int {
		if a.count < b.count {
			return -1
		}
		return 1
	})
	for _, l := range t.at {
		op.Ranks += l.ranks
		if l.count == op.Most {
			continue
		}
		op.Behind += l.ranks
		for _, r := range l.known {
			if r.Count = l.count; len(op.Lagging) < maxLagging {
				op.Lagging = append(op.Lagging, r)
			}
		}
	}
	t.counts, t.at = nil, nil
}

// detail takes a line about a communicator.
func (t *textReport) detail(l string) {
	if rest, ok := strings.CutPrefix(l, "Rank "); ok {
		t.rank(rest)
		return
	}
	if rest, ok := strings.CutPrefix(l, "Communicator ranks have different "); ok {
		t.counted()
		t.state = ""
		if kind, ok := strings.CutSuffix(rest, " operation counts"); ok && len(t.comm.Operations) < maxOperation {
			if kind == "collective" {
				kind = ""
			}
			t.counts = &facts.RASOperation{Name: kind}
			t.comm.Operations = append(t.comm.Operations, t.counts)
		}
		return
	}
	if rest, ok := strings.CutPrefix(l, "Missing communicator data from "); ok {
		t.state = Unresponsive
		t.comm.Missing, _ = small(firstWord(rest))
		return
	}
	for _, list := range []struct{ words, state string }{{"The missing rank", Unresponsive}, {"The unknown rank", "status UNKNOWN"}} {
		if strings.HasPrefix(l, list.words) { // before 2.26
			_, numbers, _ := strings.Cut(l, ":")
			for n := range strings.SplitSeq(strings.TrimSpace(numbers), ",") {
				if n, ok := small(n); ok {
					t.member(&facts.RASRank{Rank: int32(n), Gpu: -1, State: list.state})
				}
			}
			return
		}
	}
	n, ok := small(firstWord(l))
	if !ok {
		return
	}
	_, rest, _ := strings.Cut(l, " ranks ")
	switch {
	case t.counts != nil && strings.HasPrefix(rest, "have launched up to operation "):
		if count, ok := operations(strings.TrimPrefix(rest, "have launched up to operation ")); ok {
			t.launched(count, n, nil)
		}
	case t.counts != nil && rest == "have not launched any operations":
		t.launched(0, n, nil)
	case strings.HasPrefix(rest, "have status "):
		t.state = strings.TrimPrefix(rest, "have ")
	case strings.HasPrefix(rest, "reported "):
		t.state = rest
	}
}

func (t *textReport) launched(count uint64, ranks uint32, r *facts.RASRank) {
	if len(t.at) >= maxTroubled {
		return
	}
	l := launched{count: count, ranks: ranks}
	if r != nil {
		l.known = append(l.known, r)
	}
	t.at = append(t.at, l)
}

// rank takes a line about a rank: "21 has launched up to operation 6650 -- GPU 5 (NVML 3) managed by process 41 on node 10.0.0.1", or less of it.
func (t *textReport) rank(l string) {
	n, ok := small(firstWord(l))
	if !ok {
		return
	}
	r := &facts.RASRank{Rank: int32(n), Gpu: -1}
	what, where := l, ""
	if i := strings.LastIndex(l, " -- "); i >= 0 {
		what, where = l[:i], l[i+4:]
	}
	t.place(r, where)
	_, what, _ = strings.Cut(what, " ")
	switch count, ok := strings.CutPrefix(what, "has launched up to operation "); {
	case t.counts != nil && ok:
		if count, ok := operations(count); ok {
			t.launched(count, 1, r)
		}
	case t.counts != nil && what == "has not launched any operations":
		t.launched(0, 1, r)
	case t.counts != nil && what == "" && len(t.at) > 0:
		if l := &t.at[len(t.at)-1]; len(l.known) < maxLagging {
			l.known = append(l.known, r)
		}
	case what == "":
		r.State = t.state
		t.member(r)
	default:
		r.State = strings.TrimPrefix(what, "has ")
		t.member(r)
	}
}

func (t *textReport) member(r *facts.RASRank) {
	if len(t.comm.Members) < maxMembers {
		t.comm.Members = append(t.comm.Members, r)
	}
}

// place reads "GPU 5 (NVML 3) managed by process 41 on node 10.0.0.1".
func (t *textReport) place(r *facts.RASRank, l string) {
	gpu, rest, ok := strings.Cut(l, " managed by process ")
	pid, node, ok1 := strings.Cut(rest, " on node ")
	n, ok2 := small(pid)
	if !ok || !ok1 || !ok2 {
		return
	}
	r.Gpu, r.Pid, r.Host = gpuOf(strings.TrimPrefix(gpu, "GPU ")), int32(n), node
	t.process(node, r.Pid, r.Rank, t.comm.Size)
}

// job takes a line about the job as a whole: "Process 41 on node 10.0.0.1 managing GPUs 0,1 (NVML 2,3)".
func (t *textReport) job(l string) {
	if t.block == "TIMEOUT" {
		if words := strings.Fields(l); len(words) > 1 && words[0] == "Encountered" {
			t.out.Timeouts, _ = small(words[1])
		}
		return
	}
	rest, ok := strings.CutPrefix(l, "Process ")
	pid, rest, ok1 := strings.Cut(rest, " on node ")
	node, gpus, ok2 := strings.Cut(rest, " managing GPU")
	n, ok3 := small(pid)
	if !ok || !ok1 || !ok2 || !ok3 {
		return
	}
	r := &facts.RASRank{Rank: -1, Host: node, Pid: int32(n), Gpu: gpuOf(strings.TrimSpace(strings.TrimPrefix(gpus, "s"))), State: Unresponsive}
	if t.block == "DEAD" {
		r.State = Dead
	}
	t.gone(r)
}

// gpuOf reads "5", "5 (NVML 3)", "0,1" or "0,1 (NVML 2,3)": NVML's number of the first; -1 for none.
func gpuOf(s string) int32 {
	if _, nvml, ok := strings.Cut(s, "(NVML "); ok {
		s = strings.TrimSuffix(nvml, ")")
	}
	s, _, _ = strings.Cut(s, ",")
	if n, ok := small(strings.TrimSpace(s)); ok {
		return int32(n)
	}
	return -1
}

func firstWord(s string) string {
	w, _, _ := strings.Cut(s, " ")
	return w
}

// small reads a count of things, or the number of one.
func small(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return uint32(n), err == nil
}

// operations reads a count of operations.
func operations(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}
