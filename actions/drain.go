package actions

import (
	"slices"
	"strings"
	"time"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/telemetry"
)

// Schedulers that a drain is told of by name.
const (
	kindSlurm      = "slurm"
	kindKubernetes = "kubernetes"
)

// DrainWords says what a drain does to the nodes of one kind of scheduler, "" of none: exactly what happens to new work, and what to the work that is there.
func DrainWords(kind string, in *Intent) string {
	switch kind {
	case kindSlurm:
		return "no new job starts there; jobs that run go on to their end (Slurm has no other drain: now and when idle are the same)"
	case kindKubernetes:
		if in.WhenIdle {
			return "cordoned: no new pod is placed there; pods that run stay until they end by themselves"
		}
		return "cordoned, then its pods are evicted, but not DaemonSets', as far as their disruption budgets allow"
	}
	return "the configured command is run; what becomes of the work there is up to it"
}

// EmptyDirWords says what becomes of pods with emptyDir volumes.
func EmptyDirWords(in *Intent) string {
	if in.EmptyDir {
		return "emptyDir data: LOST with the pods that are evicted"
	}
	return "emptyDir data: kept; where a pod has any, no pod is evicted"
}

// ForceWords says what becomes of pods that nothing makes anew.
func ForceWords(in *Intent) string {
	if in.Force {
		return "bare pods: evicted and GONE, for nothing makes them anew"
	}
	return "bare pods: kept; where there is one, no pod is evicted"
}

// GraceWords says how long pods get to end.
func GraceWords(in *Intent) string {
	if in.Grace <= 0 {
		return "grace: what each pod asks for itself"
	}
	return "grace: " + shortTime(in.Grace) + " for each pod, then it is killed"
}

// TimeoutWords says for how long pods are waited for.
func TimeoutWords(in *Intent) string {
	limit := in.Timeout
	if limit <= 0 {
		limit = schedulers.DrainTimeout
	}
	return "time: " + shortTime(limit) + " for all pods; what is left then is named"
}

// shortTime is a duration without parts that are nothing: "5m", "1h30m".
func shortTime(d time.Duration) string {
	s := d.String()
	for _, part := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, part) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// DrainKinds are the kinds of schedulers that nodes belong to, each with how a person calls it: "slurm bay", and how many of the nodes it has; "" are nodes of none.
func DrainKinds(s *fleet.Snapshot, nodes []string) (list []DrainKind) {
	count := func(kind, name string) {
		i := slices.IndexFunc(list, func(k DrainKind) bool { return k.Name == name })
		if i < 0 {
			i = len(list)
			list = append(list, DrainKind{Kind: kind, Name: name})
		}
		list[i].Nodes++
	}
	for _, name := range nodes {
		n := s.Node(name)
		if n == nil {
			continue
		}
		for i := range n.Scheduled {
			at := &n.Scheduled[i]
			count(at.Kind, strings.TrimSpace(at.Kind+" "+at.Cluster))
		}
		if len(n.Scheduled) == 0 {
			count("", "no scheduler")
		}
	}
	slices.SortFunc(list, func(a, b DrainKind) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// DrainKind is one scheduler of some nodes.
type DrainKind struct {
	Kind  string
	Name  string
	Nodes int // of it
}

// Evicts says that a drain ends pods.
func (in *Intent) Evicts(kind string) bool { return kind == kindKubernetes && !in.WhenIdle }

// meaning is what a drain does, a line a scheduler, with all that was chosen where pods are evicted.
func (in *Intent) meaning(s *fleet.Snapshot) (lines []string) {
	for _, k := range DrainKinds(s, in.Nodes) {
		lines = append(lines, k.Name+" ("+plural(k.Nodes, "node")+"): "+DrainWords(k.Kind, in))
		if in.Evicts(k.Kind) {
			lines = append(lines, EmptyDirWords(in), ForceWords(in), GraceWords(in)+"; "+TimeoutWords(in))
		}
	}
	return lines
}

// DrainReason is what a drain of nodes is prefilled with: the worst thing that is wrong with any of them, when, and who says so; of several nodes, also of which it is said. What an
// application did to itself is no reason to take a node out. "" there is none.
func DrainReason(nodes []*fleet.Node, user string) string {
	var worst *fleet.Problem
	on, same := "", true
	for _, n := range nodes {
		w := drainCause(n)
		if w == nil || worst != nil && w.Text != worst.Text {
			same = false
		}
		if w != nil && (worst == nil || w.Severity > worst.Severity) {
			worst, on = w, n.Name
		}
	}
	if worst == nil {
		return ""
	}
	text := worst.Text
	if !worst.Since.IsZero() {
		text += worst.Since.Format(" 15:04")
	}
	if !same {
		text += " on " + on
	}
	return telemetry.Clean(text, maxReason-64) + " [foretop/" + user + "]"
}

// drainCause is the worst that speaks for taking a node out; nil: nothing does.
func drainCause(n *fleet.Node) *fleet.Problem {
	for i := range n.Problems {
		if w := &n.Problems[i]; w.Severity >= fleet.Warning && w.Cause != fleet.Application {
			return w
		}
	}
	return nil
}

// Again is the intent to do once more what of a drain was not done, with all its options as they were; nil where nothing is left to do, or it goes on. It is asked about like any other.
func (j *Job) Again() *Intent {
	in := j.Preview.Intent
	select {
	case <-j.Done():
	default:
		return nil
	}
	if in.Kind != Drain {
		return nil
	}
	results, _ := j.Results()
	in.Nodes, in.Hidden = nil, nil
	for i, r := range results {
		name := j.Preview.Steps[i].node
		if name == "" || r.State == Done || r.State == Refused || slices.Contains(in.Nodes, name) {
			continue
		}
		in.Nodes = append(in.Nodes, name)
		if slices.Contains(j.Preview.Intent.Hidden, name) {
			in.Hidden = append(in.Hidden, name)
		}
	}
	if len(in.Nodes) == 0 {
		return nil
	}
	return &in
}
