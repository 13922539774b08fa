package fleet

import (
	"strconv"
	"time"
)

// Incident is findings that belong together: those of one cause, as far as that can be told, with the one that is probably their root. It stays the same, by its ID,
// while findings join and leave it.
type Incident struct {
	ID       string    // rule and subject of what it began with: "hw.xid 79@GPU-5c1f…", "node.lost@leaf leaf03"
	Title    string    // in words, the root first; inference worded as inference. Clean
	Severity Severity  // the worst of what still holds, or of what did once it is over
	Since    time.Time // of its first finding
	Until    time.Time // when the last of its findings went; zero: it goes on. It is shown for a while after
	Members  []Finding // the root first, then what followed, by time; at most [MaxMembers]
	Cut      int       // findings beyond them
	Fold     string    // what its nodes have in common, if that is what folded them: "leaf leaf03", "rack r12", "jump host login1"; ""
	Of       int       // nodes that have this in common; 0 where Fold is ""
	Nodes    []string  // that findings of it are on, or jobs of it run on; by name
	Jobs     []string  // keys of jobs with findings of it
	KnownBad bool      // all that it is about is out of service: somebody knows of it
	Mark     Mark      // what a person said of it
	New      bool      // it began since somebody last looked
}

// MaxMembers bounds Incident.Members.
const MaxMembers = 256

// Root is the finding that the others probably come from.
func (i *Incident) Root() *Finding { return &i.Members[0] }

// Quiet says that it asks for nobody: a person acknowledged, snoozed or denied it, all of it is out of service, or it is over.
func (i *Incident) Quiet(at time.Time) bool {
	return i.KnownBad || !i.Until.IsZero() || i.Mark.Hides(at)
}

// Finding is one thing that was found, on a node or of a job, as a member of an incident.
type Finding struct {
	Rule     string // id of the rule; where rules give none, words that stand for it
	Subject  Subject
	Severity Severity
	Text     string // without its subject
	Cause    Cause
	Since    time.Time
	Began    bool      // Since is when it began; else it may be older, and was first seen then
	Until    time.Time // zero: it holds
	Evidence []string
	Remedy   string
	Past     []time.Time // when the same was found on the same subject before, in the last 90 days; newest last, without this time
}

// Key names a finding over time: its rule and what it is about. The same fault on the same thing has the same key a week later.
func (f *Finding) Key() string { return f.Rule + "@" + f.Subject.Key() }

// Where is the subject as people say it: "gpu017 GPU3", "job 8123".
func (f *Finding) Where() string { return f.Subject.String() }

// Subject is what a finding is about.
type Subject struct {
	Node string // ""
	GPU  int    // index on the node; -1 none
	UUID string // of that GPU, or of the node's machine; "" unknown
	Port int    // index on the node; -1 none
	Part string // of the node, by its name: "mlx5_0", "/scratch"; ""
	Job  string // key; ""
	ID   string // of the job, as people know it
	Many string // nodes that have something in common: "leaf leaf03"; then Node is ""
}

// Key is the subject's name in a finding's key: a GPU is known by its UUID wherever it is plugged in, all else by its place.
func (s *Subject) Key() string {
	switch {
	case s.Many != "":
		return s.Many
	case s.Job != "":
		return s.Job
	case s.GPU >= 0 && s.UUID != "":
		return s.UUID
	case s.GPU >= 0:
		return s.Node + " GPU" + strconv.Itoa(s.GPU)
	case s.Part != "":
		return s.Node + " " + s.Part
	}
	return s.Node
}

func (s *Subject) String() string {
	switch {
	case s.Many != "":
		return s.Many
	case s.Job != "":
		return "job " + s.ID
	case s.GPU >= 0:
		return s.Node + " GPU" + strconv.Itoa(s.GPU)
	case s.Part != "":
		return s.Node + " " + s.Part
	}
	return s.Node
}

// Mark is what a person said of an incident.
type Mark struct {
	Kind  MarkKind
	By    string    // who; "" nobody
	At    time.Time // when
	Until time.Time // of a snooze: when it is told again
}

// MarkKind is what may be said of an incident.
type MarkKind uint8

// Marks.
const (
	Unmarked MarkKind = iota
	Acknowledged
	Snoozed
	FalseAlarm // this rule, on this subject
)

var markWords = [...]string{"", "acknowledged", "snoozed", "false alarm"}

func (k MarkKind) String() string { return markWords[min(int(k), len(markWords)-1)] }

// Hides says that the mark asks for silence at a time.
func (m *Mark) Hides(at time.Time) bool {
	return m.Kind == Acknowledged || m.Kind == FalseAlarm || m.Kind == Snoozed && at.Before(m.Until)
}
