package layout

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Written is a layout as a person wrote it: dimensions from the fastest on.
type Written struct {
	text string
	dims []Dim
}

// names that a person may write, and what they mean.
var manualNames = map[string]string{"tp": TP, "cp": CP, "sp": SP, "ep": EP, "etp": ETP, "dp": DP, "pp": PP, "dp_shard": Shard, "shard": Shard, "fsdp": Shard,
	"dp_replicate": Replicate, "replicate": Replicate}

const howManual = "write it as tp=8 pp=4 dp=16, the fastest counted first; order=tp-dp-pp names another order"

// maxManual bounds what a person may write.
const maxManual = 200

// Parse reads a layout as a person writes it: "tp=8 pp=4 dp=16". Dimensions count from the first written on, the first fastest, unless order= says
// otherwise (order=tp-cp-dp-pp, or order=megatron). "dp=-1" is what is left. ep and etp lay a grid of experts over the others.
func Parse(text string) (*Written, error) {
	w := &Written{text: strings.TrimSpace(text)}
	if len(w.text) > maxManual {
		return nil, fmt.Errorf("a layout of more than %d characters: %s", maxManual, howManual)
	}
	named := ""
	for _, word := range strings.FieldsFunc(w.text, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }) {
		key, value, ok := strings.Cut(strings.ToLower(word), "=")
		if !ok || value == "" {
			return nil, fmt.Errorf("%q has no size: %s", word, howManual)
		}
		if key == "order" {
			named = value
			continue
		}
		name := manualNames[key]
		if name == "" {
			return nil, fmt.Errorf("%q is no dimension: they are tp, cp, sp, pp, dp, shard, replicate, ep and etp", key)
		}
		n, err := strconv.Atoi(value)
		switch {
		case value == "*":
			n = rest
		case err != nil || n < 1 && n != rest || n > maxSize:
			return nil, fmt.Errorf("%s=%s is no size: %s", key, value, howManual)
		}
		if slices.ContainsFunc(w.dims, func(d Dim) bool { return d.Name == name }) {
			return nil, fmt.Errorf("%s is written twice", key)
		}
		w.dims = append(w.dims, Dim{name, n})
	}
	if len(w.dims) == 0 {
		return nil, fmt.Errorf("no dimension is written: %s", howManual)
	}
	return w, w.sort(named)
}

// sort brings the dimensions into the order that was named.
func (w *Written) sort(named string) error {
	if named == "" {
		return nil
	}
	if named == "megatron" {
		named = "tp-cp-sp-shard-dp-replicate-pp"
	}
	var want []string
	for word := range strings.SplitSeq(named, "-") {
		name := manualNames[word]
		if name == "" || slices.Contains(want, name) {
			return fmt.Errorf("order=%s: %q is no dimension, or is there twice", named, word)
		}
		want = append(want, name)
	}
	for _, d := range w.dims {
		if d.Name != EP && d.Name != ETP && !slices.Contains(want, d.Name) {
			return fmt.Errorf("order=%s does not say where %s stands", named, d.Name)
		}
	}
	slices.SortStableFunc(w.dims, func(a, b Dim) int { return slices.Index(want, a.Name) - slices.Index(want, b.Name) })
	return nil
}

// String is the layout as it was written.
func (w *Written) String() string { return w.text }

// Layout lays it over a job's ranks.
func (w *Written) Layout(job Job) (*Layout, error) {
	if job.World <= 0 {
		return nil, fmt.Errorf("how many ranks there should be is not known")
	}
	l := &Layout{World: job.World, From: "manual"}
	var dense []Dim
	ep, etp, tp := 1, 0, 1
	for _, d := range w.dims {
		switch d.Name {
		case EP:
			ep = d.Size
		case ETP:
			etp = d.Size
		default:
			dense = append(dense, d)
			if d.Name == TP {
				tp = d.Size
			}
		}
	}
	var err error
	if l.Dims, err = grid(job.World, dense...); err != nil {
		return nil, err
	}
	if ep == 1 {
		return l, nil
	}
	if etp == 0 {
		etp = tp
	}
	if err := l.addExperts(ep, etp); err != nil {
		return nil, err
	}
	return l, nil
}

// addExperts lays experts over the ranks of each pipeline stage, as Megatron does: tensor parallel first, then the experts, then their copies.
func (l *Layout) addExperts(ep, etp int) error {
	experts := []Dim{{ETP, etp}, {EP, ep}}
	pp := l.Size(PP)
	if pp > 1 && l.Dims[len(l.Dims)-1].Name != PP {
		return fmt.Errorf("experts over stages that are not counted last are not understood: write pp last")
	}
	var err error
	l.Experts, err = grid(l.World, append(experts, Dim{EDP, rest}, Dim{PP, pp})...)
	if err != nil {
		return fmt.Errorf("of the experts %w", err)
	}
	return nil
}
