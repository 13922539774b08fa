package ras

import (
	"bufio"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"foretop/telemetry/facts"
)

// jsonReport reads a report in JSON. Its names are those of NCCL's src/ras/client_support.cc, 2.28.7 to 2.30.7.
type jsonReport struct {
	book
	scanner
	operations []string // names, in the order in which they were first met
	ranks      []rank   // of the communicator that is read now
	marks      int
}

// rank is one of a communicator's.
type rank struct {
	rank, pid, gpu      int32
	host                string
	init, async         int32
	finalizes, aborts   bool
	missing, away, dead bool // away: it does not answer, as it should
	counts              [maxOperation]uint64
}

// maxKept bounds the ranks of one communicator that are looked at.
const maxKept = 1 << 16

// initInProgress is ncclInProgress: a rank is being set up.
const initInProgress = 7

func readJSON(r *bufio.Reader) (*facts.RAS, error) {
	j := &jsonReport{book: *newBook(), scanner: scanner{r: r}}
	j.out.Form = "json"
	told := false
	err := j.object(func(name string) error {
		switch name {
		case "nccl_version":
			return j.string(&j.out.Nccl)
		case "communicators":
			told = true
			return j.array(j.communicator)
		case "ras":
			return j.object(func(name string) error {
				if name != "timeouts_count" {
					return j.skip()
				}
				var n int32
				err := j.integer(&n)
				j.out.Timeouts = uint32(max(n, 0))
				return err
			})
		}
		return j.skip()
	})
	switch {
	case err != nil:
		return nil, err
	case !told:
		return nil, broken("it tells no communicators")
	}
	j.out.Repaired = j.repaired
	return j.report(), nil
}

func (j *jsonReport) communicator() error {
	c := &facts.RASComm{Alike: 1}
	var size int32
	j.ranks = j.ranks[:0]
	err := j.object(func(name string) error {
		switch name {
		case "hash":
			err := j.string(&c.Hash)
			c.Hash = strings.TrimPrefix(c.Hash, "0x")
			return err
		case "size":
			return j.integer(&size)
		case "ranks":
			return j.array(func() error { return j.rank(false) })
		case "missing_ranks":
			return j.array(func() error { return j.rank(true) })
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	c.Size = uint32(max(size, 0))
	j.finish(c)
	return nil
}

func (j *jsonReport) rank(missing bool) error {
	r := rank{rank: -1, gpu: -1, missing: missing}
	err := j.object(func(name string) error {
		switch name {
		case "rank":
			return j.integer(&r.rank)
		case "host":
			return j.string(&r.host)
		case "pid":
			return j.integer(&r.pid)
		case "nvml_dev":
			return j.integer(&r.gpu)
		case "status":
			return j.status(&r)
		case "collective_counts":
			return j.object(func(name string) error {
				var n uint64
				err := j.count(&n)
				if i := j.operation(name); i >= 0 {
					r.counts[i] = n
				}
				return err
			})
		}
		return j.skip()
	})
	if err == nil && len(j.ranks) < maxKept {
		j.ranks = append(j.ranks, r)
	}
	return err
}

func (j *jsonReport) status(r *rank) error {
	return j.object(func(name string) error {
		switch name {
		case "init_state":
			return j.integer(&r.init)
		case "async_error":
			return j.integer(&r.async)
		case "finalize_called":
			return j.flag(&r.finalizes)
		case "abort_flag":
			return j.flag(&r.aborts)
		case "unresponsive":
			return j.flag(&r.away)
		case "considered_dead":
			return j.flag(&r.dead)
		}
		return j.skip()
	})
}

// operation is the place of a kind of operation; -1: there are too many.
func (j *jsonReport) operation(name string) int {
	i := slices.Index(j.operations, name)
	if i < 0 && len(j.operations) < maxOperation {
		i = len(j.operations)
		j.operations = append(j.operations, strings.Clone(name))
	}
	return i
}

// finish brings down what was said of a communicator.
func (j *jsonReport) finish(c *facts.RASComm) {
	j.marks++
	c.Status = "RUNNING"
	failed, mismatch := false, false
	for i := range j.ranks {
		r := &j.ranks[i]
		if h := j.process(r.host, r.pid, r.rank, c.Size); h != nil && h.mark != j.marks {
			h.mark = j.marks
			c.Nodes++
		}
		if r.rank == 0 {
			c.First = r.told("")
		}
		state := r.state()
		switch {
		case r.missing && (r.away || r.dead):
			c.Missing++
			j.gone(&facts.RASRank{Rank: -1, Host: r.host, Pid: r.pid, Gpu: r.gpu, State: state})
		case r.missing:
		case state != "":
			failed = true
		case r.aborts:
			c.Status = "ABORT"
		case r.finalizes && c.Status != "ABORT":
			c.Status = "FINALIZE"
		case r.init == initInProgress && c.Status == "RUNNING":
			c.Status = "INIT"
		}
		if state != "" && len(c.Members) < maxMembers {
			c.Members = append(c.Members, r.told(state))
		}
	}
	for i, name := range j.operations {
		op := j.launches(i, name)
		if op.Most > 0 {
			c.Operations = append(c.Operations, op)
		}
		mismatch = mismatch || op.Behind > 0
	}
	var errors []string
	for _, e := range []struct {
		is   bool
		word string
	}{{c.Missing > 0, Incomplete}, {failed, Error}, {mismatch, Mismatch}} {
		if e.is {
			errors = append(errors, e.word)
		}
	}
	c.Errors = strings.Join(errors, ",")
	j.comm(c)
}

// launches is how far the ranks have come with one kind of operation.
func (j *jsonReport) launches(i int, name string) *facts.RASOperation {
	op := &facts.RASOperation{Name: name}
	for k := range j.ranks {
		if r := &j.ranks[k]; !r.missing {
			op.Most = max(op.Most, r.counts[i])
			op.Ranks++
		}
	}
	var behind []*rank
	for k := range j.ranks {
		if r := &j.ranks[k]; !r.missing && r.counts[i] < op.Most {
			behind = append(behind, r)
		}
	}
	op.Behind = uint32(len(behind))
	slices.SortStableFunc(behind, func(a, b *rank) int {
		return cmp.Or(cmp.Compare(a.counts[i], b.counts[i]), cmp.Compare(a.rank, b.rank))
	})
	for _, r := range behind[:min(len(behind), maxLagging)] {
		told := r.told("")
		told.Count = r.counts[i]
		op.Lagging = append(op.Lagging, told)
	}
	return op
}

// state is what is wrong with a rank; "" nothing is known to be.
func (r *rank) state() string {
	switch {
	case r.dead:
		return Dead
	case r.missing && r.away:
		return Unresponsive
	case r.missing:
		return ""
	case r.init != 0 && r.init != initInProgress:
		return "reported " + result(r.init) + " while it was set up"
	case r.async != 0 && r.async != initInProgress:
		return "reported " + result(r.async)
	}
	return ""
}

// result is a ncclResult_t in words.
func result(n int32) string {
	words := [...]string{"success", "unhandled cuda error", "unhandled system error", "internal error", "invalid argument", "invalid usage", "remote process exited or there was a network error"}
	if n >= 0 && int(n) < len(words) {
		return words[n]
	}
	return "error " + strconv.Itoa(int(n))
}

func (r *rank) told(state string) *facts.RASRank {
	return &facts.RASRank{Rank: r.rank, Host: r.host, Pid: r.pid, Gpu: r.gpu, State: state}
}
