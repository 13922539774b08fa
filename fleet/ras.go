package fleet

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// RAS is what the NCCL libraries of a job's processes say of one another (NCCL's RAS, from 2.24.3 on), as one of them told it when it was asked.
// It counts what ranks have launched, not what was completed: who has launched less than the others is behind; where all are level, it cannot say who is at fault. Only
// collectives are counted, neither sends and receives nor what a CUDA graph captured.
type RAS struct {
	Node   string        // where it was asked
	At     time.Time     // when the answer came
	Took   time.Duration // of the node
	Error  string        // why there is no report; "" there is one
	Remedy string
	Absent bool // it is not offered there: it is asked seldom

	NCCL       string // version
	Form       string // text, json
	Repaired   bool   // the JSON lacked commas, as that of two versions does
	Timeouts   int    // that it met while it gathered
	Comms      []RASComm
	CommsTotal int       // with those that are left out
	Gone       []RASRank // that are dead or do not answer, or have said that they failed
	Lagging    []RASRank // that have launched less than others of their communicator; each rank once
	LaggingN   int       // how many are, at most, with those that are left out
	// StillSince is since when no rank has launched any collective, by the reports so far; zero: some did, or it is not told.
	StillSince time.Time

	launched uint64 // all that is counted
	counts   bool   // it tells counts of communicators that are well, too
}

// RASComm is a communicator, or some that are alike.
type RASComm struct {
	Name       string // "#0-0", "#0" of several; "" it has none
	Hash       string // as NCCL's own log has it; "" of several
	Alike      int    // how many it stands for; 0: it tells more of one that is counted already
	Size       int    // ranks of one; 0 unknown
	Nodes      int    // 0 unknown
	Status     string // INIT, RUNNING, FINALIZE, ABORT
	Errors     string // INCOMPLETE, ERROR, MISMATCH; "" none
	Missing    int
	First      int // the job's rank that is its rank 0; -1 unknown
	Operations []RASOperation
}

// RASOperation is how far a communicator's ranks have come with one kind of collective.
type RASOperation struct {
	Name   string // AllReduce; "" of all kinds together (before NCCL 2.26)
	Most   uint64 // launched by those in front
	Behind int    // ranks with less
	Ranks  int
}

// RASRank is a rank that RAS says something of, joined to what is known of it here.
type RASRank struct {
	Rank      int    // the job's; -1: it is none that is seen here
	CommRank  int    // in the communicator; -1 none
	Node      string // "" unknown
	Host      string // the address that NCCL knows it by
	PID       int32  // on its node; in its own namespace where Rank is -1
	GPU       int    // on its node; -1 unknown
	State     string // of one that is gone: dead, unresponsive, "reported …"; "" it only lags
	Comm      string // in which: its name or hash
	Size      int    // of it
	Operation string
	Launched  uint64 // by it
	Most      uint64 // by those in front
	Behind    int    // ranks of the communicator that have launched less than these
	Of        int
	Since     time.Time // since when reports say the same of it
	Seen      bool      // its process is among those that are seen: it is there, whatever RAS says
	// GoesOn says that its communicator has launched more since the report before, which said the same of it: it takes part. RAS never takes back a rank that it has called dead:
	// one that was stopped for a minute stays so for the job's life, and calls the others dead.
	GoesOn bool
}

// Victim says that the rank only tells that another one is gone.
func (r *RASRank) Victim() bool { return strings.Contains(strings.ToLower(r.State), "remote process") }

// Few says that the rank is one of the few: the others of its communicator wait for it.
func (r *RASRank) Few() bool { return r.State != "" || r.Behind > 0 && 2*r.Behind <= r.Of }

// Who names the rank: "rank 317", or by what is known of it.
func (r *RASRank) Who() string {
	switch {
	case r.Rank >= 0:
		return "rank " + strconv.Itoa(r.Rank)
	case r.PID > 0 && r.Host != "":
		return "pid " + strconv.Itoa(int(r.PID)) + " on " + r.Host
	case r.CommRank >= 0 && r.Comm != "":
		return "rank " + strconv.Itoa(r.CommRank) + " of communicator " + r.Comm
	}
	return "a process"
}

// Says is what RAS says of it: "lags in AllReduce #8812".
func (r *RASRank) Says() string {
	switch {
	case r.State == "dead" && r.GoesOn:
		return "is cut off from RAS, but takes part"
	case r.State == "dead" && r.Seen:
		return "is called dead, though its process is there"
	case r.State == "dead":
		return "is dead"
	case r.State == "unresponsive":
		return "does not answer"
	case r.State != "":
		return r.State
	case r.Operation == "":
		return fmt.Sprintf("lags in collective #%d", r.Launched+1)
	}
	return fmt.Sprintf("lags in %s #%d", r.Operation, r.Launched+1)
}

// Bounded is a report that may come from a file, with no more in it than one from a node has; nil of nil.
func (r *RAS) Bounded() *RAS {
	if r == nil {
		return nil
	}
	b := *r
	b.Gone, b.Lagging, b.Comms = r.Gone[:min(len(r.Gone), maxRASRanks)], r.Lagging[:min(len(r.Lagging), maxRASRanks)], r.Comms[:min(len(r.Comms), maxRASRanks)]
	return &b
}

// Told says that there is a report.
func (r *RAS) Told() bool { return r != nil && r.Error == "" }

// Lasts is for how long reports have said the same of a rank, as of the one at that time; 0: this is the first that does.
func (r *RASRank) Lasts(at time.Time) time.Duration { return max(0, at.Sub(r.Since)) }
