package findings

import (
	"slices"
	"strings"

	"foretop/fleet"
	"foretop/schedulers"
)

// Rules that are no rule's own: that a node is not there is the connection's word.
const (
	ruleLost      = "node.lost"
	ruleUnreached = "node.unreached"
	ruleHostKey   = "node.hostkey"
	ruleEnded     = "job.ended"
)

// find lists all that is found now, and what was found a while ago and is gone.
func (b *folder) find() {
	b.at = map[string]int{}
	for _, n := range b.s.Nodes {
		known := outOfUse(n)
		if f, ok := absent(n); ok {
			b.add(f, n, known)
		}
		for i := range n.Problems {
			if p := &n.Problems[i]; p.Severity >= fleet.Warning || p.Severity == fleet.Notice && strings.HasSuffix(p.Text, deniedWords) {
				b.add(ofNode(n, p), n, known)
			}
		}
	}
	for _, j := range b.s.Jobs {
		if !j.Ended.IsZero() {
			if text, denied := strings.CutSuffix(j.StateText, deniedWords); denied || j.Severity >= fleet.Warning {
				f := fleet.Finding{Rule: ruleEnded, Subject: ofJob(j), Severity: j.Severity, Text: endedText(text), Since: j.Ended}
				b.add(f, b.firstOf(j), false)
			}
			continue
		}
		for i := range j.Findings {
			v := &j.Findings[i]
			if text, denied := strings.CutSuffix(v.Text, deniedWords); denied || v.Severity >= fleet.Warning {
				f := fleet.Finding{Rule: ruleOf(v.Rule, text, false), Subject: ofJob(j), Severity: v.Severity, Text: text, Since: v.Since, Evidence: v.Evidence, Remedy: v.Remedy}
				b.add(f, b.firstOf(j), false)
			}
		}
	}
	b.keepGone()
	b.parent = make([]int, len(b.all), len(b.all)+8)
	for i := range b.parent {
		b.parent[i] = i
	}
}

// firstOf is the first of a job's nodes; nil where it has none that is watched.
func (b *folder) firstOf(j *fleet.Job) *fleet.Node {
	if len(j.Nodes) == 0 {
		return nil
	}
	return b.node(j.Nodes[0])
}

// add takes a finding in, of a node, or of a job on it. Of two with one key the worse counts, and the earlier beginning.
func (b *folder) add(f fleet.Finding, n *fleet.Node, known bool) {
	key := f.Key()
	if i, ok := b.at[key]; ok {
		old := &b.all[i]
		if f.Severity > old.Severity {
			old.Severity, old.Text, old.Cause, old.Remedy = f.Severity, f.Text, f.Cause, f.Remedy
		}
		if !f.Since.IsZero() && f.Since.Before(old.Since) {
			old.Since = f.Since
		}
		old.Evidence = append(old.Evidence[:len(old.Evidence):len(old.Evidence)], f.Evidence...)
		return
	}
	d := found1{Finding: f, key: key, known: known, was: -1}
	if at, ok := b.was[key]; ok { // it goes on, or comes back before it was over
		old := &b.before[at.incident].Members[at.member]
		d.was, d.Past, d.Began = at.incident, old.Past, old.Began
		if d.Since.IsZero() || old.Since.Before(d.Since) {
			d.Since = old.Since
		}
		if len(d.Evidence) == 0 {
			d.Evidence = old.Evidence
		}
		if d.Remedy == "" {
			d.Remedy = old.Remedy
		}
	} else {
		if d.Since.IsZero() {
			d.Since = b.s.At
		}
		d.Began = began(&d.Finding, n)
		if len(d.Evidence) == 0 && d.Subject.Node != "" {
			b.kernelWords(&d.Finding)
		}
	}
	d.denied = b.Denied != nil && b.Denied(key)
	b.at[key] = len(b.all)
	b.all = append(b.all, d)
}

// began says that a finding's beginning is known: what is first seen just after its node was reached may be as old as you like, but for what the node's log says.
func began(f *fleet.Finding, n *fleet.Node) bool {
	if n == nil || f.Rule == ruleLost || f.Rule == ruleEnded {
		return true
	}
	if f.Rule == ruleUnreached {
		return false
	}
	if f.Since.Before(n.Since) || f.Since.Sub(n.Since) > bornFor {
		return true
	}
	return slices.ContainsFunc(n.Kernel, func(l fleet.KernelLine) bool { return l.Since().Equal(f.Since) })
}

// keepGone adds what is no longer found. Of a node that is not there any more what was found last holds on; what is gone stays for a while, for it may come back.
func (b *folder) keepGone() {
	for i := range b.before {
		in := &b.before[i]
		for k := range in.Members {
			f := in.Members[k]
			key := f.Key()
			if _, there := b.at[key]; there || f.Subject.Many != "" {
				continue
			}
			n := b.node(f.Subject.Node)
			if f.Subject.Node != "" && n == nil {
				continue // it is watched no more
			}
			known := n != nil && outOfUse(n)
			if n == nil || n.State == fleet.Live || f.Rule == ruleLost || f.Rule == ruleUnreached {
				if f.Until.IsZero() {
					f.Until = b.s.At
				}
				if b.s.At.Sub(f.Until) >= goneFor {
					continue
				}
			} else if !f.Until.IsZero() && b.s.At.Sub(f.Until) >= goneFor {
				continue
			}
			d := found1{Finding: f, key: key, known: known, was: i, denied: b.Denied != nil && b.Denied(key)}
			b.at[key] = len(b.all)
			b.all = append(b.all, d)
		}
	}
}

// outOfUse says that somebody took a node out of service, or keeps it for maintenance.
func outOfUse(n *fleet.Node) bool {
	if n.OutOfService() {
		return true
	}
	for i := range n.Scheduled {
		if s := n.Scheduled[i].Node; s != nil && slices.ContainsFunc(s.Flags, func(flag string) bool { return strings.HasPrefix(strings.ToUpper(flag), "MAINT") }) {
			return true
		}
	}
	return false
}

// absent is the finding that a node which should be there is not. One that refuses us, or that asks for something, is there.
func absent(n *fleet.Node) (f fleet.Finding, ok bool) {
	f = fleet.Finding{Rule: ruleLost, Subject: fleet.Subject{Node: n.Name, GPU: -1, Port: -1}, Severity: fleet.Critical, Text: n.State.String(), Since: n.Since, Remedy: n.Remedy}
	switch n.State {
	case fleet.Lost, fleet.Misbehaving:
	case fleet.NeedsTrust: // a key that is only not known yet is a question, one that has changed or is revoked an alarm, which begins with these words
		if !strings.HasPrefix(n.Cause, "HOST KEY") {
			return f, false
		}
		f.Rule, f.Text = ruleHostKey, causeWords(n.Cause)[len(": "):]
		return f, true
	case fleet.Stale:
		f.Severity = fleet.Warning
		if n.LastData.After(f.Since) {
			f.Since = n.LastData
		}
	default:
		return f, false
	}
	if n.LastFrame.IsZero() {
		f.Rule, f.Severity, f.Text = ruleUnreached, fleet.Warning, "not reached"
	}
	if c := n.Condition(); c >= schedulers.Unreachable {
		f.Evidence = append(f.Evidence, n.Scheduled[0].Kind+": "+c.String())
	}
	if n.Hello != nil {
		f.Subject.UUID = n.Hello.MachineId
	}
	f.Text += causeWords(n.Cause)
	return f, true
}

func causeWords(cause string) string {
	if cause == "" {
		return ""
	}
	return ": " + short(cause, 120)
}

// ofNode is a node's problem as a finding.
func ofNode(n *fleet.Node, p *fleet.Problem) fleet.Finding {
	text := strings.TrimSuffix(p.Text, deniedWords)
	f := fleet.Finding{Rule: ruleOf(p.Rule, text, true), Subject: fleet.Subject{Node: n.Name, GPU: p.GPU, Port: p.Port}, Severity: p.Severity, Text: text, Cause: p.Cause, Since: p.Since, Evidence: p.Evidence, Remedy: p.Remedy}
	switch {
	case p.GPU >= 0 && p.GPU < len(n.GPUs):
		f.Subject.UUID = n.GPUs[p.GPU].Info.GetUuid()
		f.Text = withoutGPU(text, p.GPU)
	case p.Port >= 0 && p.Port < len(n.Ports):
		f.Subject.Part = n.Ports[p.Port].Name
	default:
		f.Subject.Part = partIn(text)
		for i := range n.Ports { // what the kernel says of its interface is the port's
			if d := n.Ports[i].Netdev; d != "" && names(text, d) {
				f.Subject.Part, f.Subject.Port = n.Ports[i].Name, i
				break
			}
		}
		if n.Hello != nil && f.Subject.Part == "" {
			f.Subject.UUID = n.Hello.MachineId
		}
	}
	if rest, ok := strings.CutPrefix(f.Text, f.Subject.Part+" "); ok && f.Subject.Part != "" {
		f.Text = rest
	} else if rest, ok := strings.CutPrefix(f.Text, f.Subject.Part+": "); ok && f.Subject.Part != "" {
		f.Text = rest
	}
	return f
}

func ofJob(j *fleet.Job) fleet.Subject {
	return fleet.Subject{Job: j.Key, ID: j.ID, GPU: -1, Port: -1}
}

// kernelWords adds the kernel's lines of a finding, and what to do about it, where the rule that found it told neither.
func (b *folder) kernelWords(f *fleet.Finding) {
	const most = 3
	n := b.node(f.Subject.Node)
	if n == nil {
		return
	}
	for i := len(n.Kernel) - 1; i >= 0 && len(f.Evidence) < most; i-- {
		l := &n.Kernel[i]
		if l.Class.Severity < fleet.Warning || l.GPU != f.Subject.GPU || l.Class.Kind == "" || !strings.HasPrefix(f.Text, kernelSays(l, f.Subject.Part)) {
			continue // another thing
		}
		f.Evidence = append(f.Evidence, l.At.Format("15:04:05 ")+short(l.Text, 240))
		if f.Remedy == "" {
			f.Remedy = l.Class.Action
		}
	}
	slices.Reverse(f.Evidence)
}

// kernelSays is a line's words as a finding has them: without what it is about.
func kernelSays(l *fleet.KernelLine, part string) string {
	text := lineText(l)
	if l.GPU >= 0 {
		text = withoutGPU(text, l.GPU)
	}
	text = strings.TrimPrefix(text, part+": ")
	return strings.TrimPrefix(text, part+" ")
}
