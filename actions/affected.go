package actions

import (
	"slices"
	"strconv"
	"strings"

	"foretop/fleet"
	"foretop/schedulers"
)

// Affected is whose work an action touches.
type Affected struct {
	Jobs   []string // as people know them
	Users  []string
	Others []string // Users but who acts
	Theirs []string // whose work that is, a line for each of Others: "bob: 8127, 8140"
	GPUs   int      // held by processes

	of   map[string][]string     // jobs by user, while they are gathered
	told map[string][]*fleet.Job // those that run by their schedulers' word, by node, while they are gathered
}

// NotKnown stands for a user who is not known: he may be anybody, so it is somebody else.
const NotKnown = "not known"

// String is "3 jobs of 2 users, 24 GPUs in use"; "nobody's work" where there is none.
func (a Affected) String() string {
	if len(a.Jobs) == 0 && len(a.Users) == 0 && a.GPUs == 0 {
		return "nobody's work"
	}
	var parts []string
	switch {
	case len(a.Jobs) > 0:
		parts = append(parts, plural(len(a.Jobs), "job")+" of "+plural(len(a.Users), "user"))
	case len(a.Users) > 0:
		parts = append(parts, "work of "+plural(len(a.Users), "user"))
	}
	return strings.Join(append(parts, plural(a.GPUs, "GPU")+" in use"), ", ")
}

// addNode counts whose work is on a node: what its processes say, and, as nobody hears those of a node that is not reached, what its schedulers do.
func (a *Affected) addNode(s *fleet.Snapshot, n *fleet.Node) {
	for _, key := range n.Jobs {
		if j := s.Job(key); j != nil {
			a.addWho(j)
		}
	}
	if a.told == nil {
		a.told = map[string][]*fleet.Job{}
		for _, j := range s.Jobs {
			if t := j.Told; t != nil && (t.Phase == schedulers.Running || t.Phase == schedulers.Suspended || t.Phase == schedulers.Completing) {
				for _, name := range t.Watched {
					a.told[name] = append(a.told[name], j)
				}
			}
		}
	}
	for _, j := range a.told[n.Name] {
		a.addWho(j)
	}
	held, given := 0, 0
	for i := range n.GPUs {
		if len(n.GPUs[i].Holders) > 0 {
			held++
		}
	}
	for i := range n.Scheduled {
		if at := n.Scheduled[i].Node; at != nil {
			given += max(at.GPUsUsed, 0)
		}
	}
	a.GPUs += max(held, given)
}

func (a *Affected) addJob(j *fleet.Job) {
	a.addWho(j)
	for i := range j.GPUs {
		if g := j.GPUs[i].GPU; g != nil && slices.ContainsFunc(g.Holders, func(h fleet.Holder) bool { return h.Job == j.Key }) {
			a.GPUs++
		}
	}
}

func (a *Affected) addWho(j *fleet.Job) {
	a.Jobs = append(a.Jobs, j.ID)
	a.addUser(or(j.User, NotKnown), j.ID)
}

// addUser counts a user, of whom a job is touched; "" none in particular.
func (a *Affected) addUser(user, job string) {
	a.Users = append(a.Users, user)
	if a.of == nil {
		a.of = map[string][]string{}
	}
	if !slices.Contains(a.of[user], job) && job != "" {
		a.of[user] = append(a.of[user], job)
	}
}

// maxTheirs is how many jobs of one user are named.
const maxTheirs = 12

// settle leaves each once.
func (a *Affected) settle(user string) {
	slices.Sort(a.Jobs)
	a.Jobs = slices.Compact(a.Jobs)
	slices.Sort(a.Users)
	a.Users = slices.Compact(a.Users)
	a.Others = slices.DeleteFunc(slices.Clone(a.Users), func(u string) bool { return u == user })
	a.Theirs = nil
	for _, u := range a.Others {
		ids := a.of[u]
		slices.Sort(ids)
		words := strings.Join(ids[:min(len(ids), maxTheirs)], ", ")
		if n := len(ids) - maxTheirs; n > 0 {
			words += " and " + strconv.Itoa(n) + " more"
		}
		if words == "" {
			words = "processes"
		}
		a.Theirs = append(a.Theirs, u+": "+words)
	}
}
