package findings

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"foretop/fleet"
)

// causeOrder is how near to the beginning of things a rule's findings are: what of an incident is likely its root. The first prefix that fits holds.
var causeOrder = [...]struct {
	prefix string
	order  int
}{
	{ruleLost, 3}, {ruleUnreached, 3},
	{"job.oom", 5}, {"job.memory", 5}, {"job.missing", 6}, {"job.dataloader", 6}, {"job.checkpoint", 6}, {"job.straggler", 7}, {"job.hang", 8}, {"job.progress", 8}, {ruleEnded, 9}, {"job.", 7},
	{"waste.", 9},
	{"hw.throttle", 2}, {"hw.clock", 2}, {"hw.", 1},
}

// order: what many nodes share, faults of hardware, what a GPU does about them, the node, its programs, the job.
func order(f *found1) int {
	if f.group > 0 {
		return 0
	}
	if f.Cause == fleet.Application {
		return 4
	}
	least := 0
	if f.Subject.Job != "" {
		if least = 5; f.echo {
			least = 9
		}
	}
	for _, o := range causeOrder {
		if strings.HasPrefix(f.Rule, o.prefix) {
			return max(o.order, least)
		}
	}
	switch {
	case f.Subject.Job != "":
		return max(7, least)
	case f.Cause == fleet.Hardware || f.Cause == fleet.Environment:
		return 1
	case strings.Contains(f.Text, "slowed"):
		return 2
	case f.Subject.GPU >= 0 || f.Subject.Port >= 0:
		return 1
	}
	return 2
}

// before1 orders what may be the root: hardware before symptom, worse before less bad where both begin together, earlier before later.
func (b *folder) before1(x, y *found1) int {
	d := cmp.Compare(order(x), order(y))
	if apart := x.Since.Sub(y.Since); d == 0 && apart.Abs() <= causeSlack {
		if d = -cmp.Compare(x.Severity, y.Severity); d == 0 {
			d = boolFirst(strings.HasPrefix(x.Rule, "hw.xid "), strings.HasPrefix(y.Rule, "hw.xid ")) // it says more than the lines around it
		}
	}
	return cmp.Or(d, x.Since.Compare(y.Since), cmp.Compare(x.key, y.key))
}

// title is an incident in words: its probable root, and what followed.
func (b *folder) title(set []int) string {
	root := &b.all[set[0]]
	words := root.Where()
	more := 0
	for _, i := range set[1:] {
		if f := &b.all[i]; root.group == 0 && f.Rule == root.Rule && f.Subject.Node == root.Subject.Node && f.Subject.Node != "" {
			more++
		}
	}
	if more > 0 {
		words += fmt.Sprintf(" and %d more", more)
	}
	if root.Subject.Many == anywhere {
		words = root.Text
	} else if root.Subject.GPU >= 0 || root.group == 0 && root.Subject.Job == "" {
		words += " " + root.Text
	} else if root.group > 0 {
		words += ": " + root.Text
	} else {
		words += ": " + steady(root.Text)
	}
	var jobs []string
	var worst *found1 // of the jobs' findings: a symptom before an echo, the last in the order of causes
	for _, i := range set[1:] {
		f := &b.all[i]
		if f.Subject.Job == "" {
			continue
		}
		if !contains(jobs, f.Subject.ID) {
			jobs = append(jobs, f.Subject.ID)
		}
		if worst == nil || worst.echo && !f.echo || worst.echo == f.echo && order(f) > order(worst) {
			worst = f
		}
	}
	if worst == nil || root.Subject.Job == worst.Subject.Job && root.Subject.Job != "" {
		return words
	}
	who := "job " + worst.Subject.ID
	if len(jobs) > 1 {
		who = strconv.Itoa(len(jobs)) + " jobs"
	}
	if worst.echo {
		if _, rank, ok := strings.Cut(worst.Text, "(rank "); ok && len(jobs) == 1 {
			return words + " → on " + who + " (rank " + strings.TrimSuffix(rank, ")") + ")"
		}
		return words + " → on " + who
	}
	later := ""
	if d := worst.Since.Sub(root.Since); d > 0 {
		later = ", " + long(d) + " later"
	}
	return words + " → probably why " + who + ": " + symptom(worst.Text) + later
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// symptom is a job's finding without what changes from second to second, or is said of its cause.
func symptom(text string) string {
	text, _, _ = strings.Cut(text, " · ")
	return strings.TrimSuffix(steady(text), "?")
}

// steady is a text without how long it has been so: an incident's title says what it is, its age stands beside it.
func steady(text string) string {
	words := strings.Fields(text)
	kept := make([]string, 0, len(words))
	for i := 0; i < len(words); i++ {
		if i+1 < len(words) && strings.Trim(words[i], "0123456789.") == "" {
			unit := strings.TrimRight(words[i+1], "?,;:)")
			if isUnit(unit) && len(kept) > 0 {
				if last := len(kept) - 1; last > 0 && (kept[last] == "for" || kept[last] == "since") {
					kept = kept[:last]
				}
				kept[len(kept)-1] += words[i+1][len(unit):]
				i++
				continue
			}
		}
		kept = append(kept, words[i])
	}
	return strings.Join(kept, " ")
}

func isUnit(w string) bool {
	switch w {
	case "s", "min", "h", "d", "m":
		return true
	}
	return false
}

// endedText is how a job ended, without how long ago.
func endedText(text string) string {
	before, rest, ok := strings.Cut(text, " ago")
	if !ok {
		return text
	}
	words := strings.Fields(before)
	if n := len(words); n > 2 && isUnit(words[n-1]) && strings.Trim(words[n-2], "0123456789") == "" {
		return strings.Join(words[:n-2], " ") + rest
	}
	return text
}

// ruleOf is a rule's id, with the driver's code, which is what people count; or where there is none words that stand for it: see kindOf.
func ruleOf(rule, text string, names bool) string {
	if code, of := driverCode(text); code != "" && names { // of a job it is what its node's finding says
		return cmp.Or(rule, of) + " " + code
	}
	return cmp.Or(rule, kindOf(text, names))
}

// driverCode is 79 of "Xid 79", and of which kind of codes; "" where there is none.
func driverCode(text string) (code, kind string) {
	i := strings.Index(text, "Xid ")
	if i < 0 {
		return "", ""
	}
	from := i + len("Xid ")
	if kind = "hw.xid"; i > 0 && text[i-1] == 'S' {
		kind = "hw.sxid"
	}
	return text[from : from+digits(text[from:])], kind
}

// kindOf is a finding's words without numbers, what stands in brackets, and what is said of it beside; names with a number in them stay or go: of a job's finding they
// are the nodes', which come and go.
func kindOf(text string, names bool) string {
	for _, end := range [...]string{" · ", " (", "?", ", "} {
		text, _, _ = strings.Cut(text, end)
	}
	var kept []string
	for _, w := range strings.Fields(text) {
		if strings.HasPrefix(w, "GPU") {
			w = strings.TrimRight(strings.TrimSuffix(w, ":"), "0123456789")
		}
		if w == "%" || isUnit(w) || strings.ContainsAny(w, "0123456789") && !(names && w[0]|0x20 >= 'a' && w[0]|0x20 <= 'z') {
			continue
		}
		kept = append(kept, w)
	}
	return short(strings.TrimSuffix(strings.Join(kept, " "), ":"), 64)
}

// partIn is the part of a node that a text begins with: a mount or a device; "" none.
func partIn(text string) string {
	w, _, ok := strings.Cut(text, " ")
	w = strings.TrimSuffix(w, ":")
	switch {
	case !ok || len(w) > 64 || w == "":
		return ""
	case w[0] == '/':
		return w
	case w[0] >= 'a' && w[0] <= 'z' && isName(w) && strings.ContainsAny(w, "0123456789"):
		return w
	}
	return ""
}

// withoutGPU is a text without the name of the GPU that it is about.
func withoutGPU(text string, gpu int) string {
	name := "GPU" + strconv.Itoa(gpu)
	if rest, ok := strings.CutPrefix(text, name+" "); ok {
		return rest
	}
	if rest, ok := strings.CutPrefix(text, name+": "); ok {
		return rest
	}
	if before, after, ok := strings.Cut(text, " "+name+": "); ok {
		return before + ": " + after
	}
	return text
}
