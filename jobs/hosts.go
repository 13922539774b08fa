package jobs

import (
	"slices"
	"strings"
)

// maxHostLists bounds how many different lists of hosts one job's processes may give.
const maxHostLists = 8

// hostsOf finds the hosts that a job should be on, and those of them that no node of the fleet is. Names that fit none of the nodes where the job is seen are not
// nodes' names but a cluster's own, such as a pod's: then nothing is known of the hosts that are missing, and
// named is false.
func (a *assembly) hostsOf(j *Job, r *run) (named bool) {
	var lists []string
	known := a.known != nil && len(a.known.Jobs[j.Key].Hosts) > 0
	hear := func(t *ties) {
		j.HostsN = max(j.HostsN, t.hostsN)
		if t.hosts != "" && !known && len(lists) < maxHostLists && !slices.Contains(lists, t.hosts) {
			lists = append(lists, t.hosts)
		}
	}
	for _, members := range [...][]member{r.members, r.others} {
		var last *ties
		for i := range members {
			m := &members[i]
			if m.id != last {
				last = m.id
				hear(last)
			}
			if m.own.said != last {
				hear(m.own.said)
			}
		}
	}
	n := 0
	if known {
		j.Hosts = a.known.Jobs[j.Key].Hosts
		n = len(j.Hosts)
		j.Hosts = j.Hosts[:min(n, MaxHosts)]
	}
	for i, list := range lists {
		more, all := expandHosts(list, MaxHosts)
		if n += all; i == 0 {
			j.Hosts = more
			continue
		}
		for _, h := range more {
			if slices.Contains(j.Hosts, h) {
				n--
			} else if len(j.Hosts) < MaxHosts {
				j.Hosts = append(j.Hosts, h)
			}
		}
	}
	if j.HostsN = max(j.HostsN, n); len(j.Hosts) == 0 {
		return false
	}
	mine := a.namesOf(j, r)
	unseen := 0
	for _, h := range j.Hosts {
		if !mine.has(h) {
			unseen++
		}
	}
	if unseen == 0 || unseen == len(j.Hosts) {
		return unseen == 0
	}
	if a.watched == nil {
		a.watched = make(names, 2*len(a.nodes))
		for i := range a.nodes {
			a.watched.add(&a.nodes[i])
		}
	}
	for _, h := range j.Hosts {
		if !mine.has(h) && !a.watched.has(h) {
			j.Unwatched = append(j.Unwatched, h)
		}
	}
	return true
}

// names are nodes by every name that they go by, in small letters.
type names map[string]bool

func (s names) add(n *NodeFacts) {
	s.put(n.Node)
	if n.Hostname != n.Node {
		s.put(n.Hostname)
	}
	for _, other := range n.Names {
		s.put(other)
	}
}

func (s names) put(name string) {
	if name == "" {
		return
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	s[name] = true
	if short, _, ok := strings.Cut(name, "."); ok && strings.Trim(name, "0123456789.") != "" {
		if _, exact := s[short]; !exact {
			s[short] = false // fits a short name only
		}
	}
}

// has says whether a host is one of the nodes. A short name fits a long one, and the other way round; two long ones must be the same.
func (s names) has(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if s[host] {
		return true
	}
	short, _, ok := strings.Cut(host, ".")
	if !ok {
		_, fits := s[host]
		return fits
	}
	return s[short] && strings.Trim(host, "0123456789.") != ""
}

// namesOf is the names of the nodes on which a run is seen.
func (a *assembly) namesOf(j *Job, r *run) names {
	s := make(names, len(j.Hosts)) // about as many
	last := int32(-1)
	look := func(m *member) {
		if m.node != last {
			last = m.node
			s.add(&a.nodes[m.node])
			s.put(m.id.nodeName)
		}
	}
	for i := range r.members {
		look(&r.members[i])
	}
	for i := range r.others {
		look(&r.others[i])
	}
	return s
}
