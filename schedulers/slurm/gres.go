package slurm

import (
	"strconv"
	"strings"
)

// maxGPUs bounds the accelerators of one node, and the indices that are named of them.
const maxGPUs = 1 << 10

// gres is one generic resource: "gpu:h100:8(S:0-1)", "gpu:4(IDX:0-3)", "gres/gpu:h100=16", "gres:gpu:2".
type gres struct {
	name, model string
	count       int
	indices     []int // of "(IDX:…)"
}

// parseGRES reads a list of them, as nodes (gres, gres_used), jobs (gres_detail, tres_per_…) and TRES (tres_alloc_str) have it. What it cannot read it leaves out.
func parseGRES(list string) []gres {
	var out []gres
	for list != "" && len(out) < maxGPUs {
		var item string
		item, list = cutGRES(list)
		if g, ok := parseOneGRES(item); ok {
			out = append(out, g)
		}
	}
	return out
}

// cutGRES cuts at the first comma outside parentheses.
func cutGRES(list string) (item, rest string) {
	depth := 0
	for i := range len(list) {
		switch list[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth <= 0 {
				return list[:i], list[i+1:]
			}
		}
	}
	return list, ""
}

func parseOneGRES(item string) (gres, bool) {
	item, detail, _ := strings.Cut(strings.TrimSpace(item), "(")
	for _, prefix := range []string{"gres/", "gres:"} {
		item = strings.TrimPrefix(item, prefix)
	}
	g := gres{count: 1, indices: parseIndices(strings.TrimSuffix(detail, ")"))}
	head, tail, isTRES := strings.Cut(item, "=")
	g.name, g.model, _ = strings.Cut(head, ":")
	if !isTRES {
		// gpu, gpu:8, gpu:h100, gpu:h100:8
		tail = ""
		if model, n, three := strings.Cut(g.model, ":"); three {
			g.model, tail = model, n
		} else if _, ok := parseCount(g.model); ok {
			g.model, tail = "", g.model
		}
	}
	if tail != "" {
		n, ok := parseCount(tail)
		if !ok {
			return gres{}, false
		}
		g.count = n
	}
	return g, g.name != ""
}

// parseCount reads "8", "2K".
func parseCount(s string) (int, bool) {
	if s == "" {
		return 0, false
	}
	scale := 1
	switch s[len(s)-1] {
	case 'k', 'K':
		scale, s = 1<<10, s[:len(s)-1]
	case 'm', 'M':
		scale, s = 1<<20, s[:len(s)-1]
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<30/scale {
		return 0, false
	}
	return n * scale, true
}

// parseIndices reads "IDX:0-3,6"; nil of "S:0-1", "IDX:N/A" and what is none.
func parseIndices(detail string) []int {
	list, ok := strings.CutPrefix(detail, "IDX:")
	if !ok {
		return nil
	}
	var out []int
	for r := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(r, "-")
		if !isRange {
			last = first
		}
		lo, err1 := strconv.Atoi(first)
		hi, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || lo < 0 || hi < lo || hi >= maxGPUs || len(out) >= maxGPUs {
			return nil
		}
		for i := lo; i <= hi; i++ {
			out = append(out, i)
		}
	}
	return out
}

// gpus counts the accelerators of a list and names their models. A TRES list may hold both the sum and its parts ("gres/gpu=8,gres/gpu:h100=8"): the sum wins. ok
// is false where the list has none.
func gpus(list string) (n int, models []string, ok bool) {
	sum, parts := -1, 0
	isTRES := strings.Contains(list, "=")
	for _, g := range parseGRES(list) {
		if g.name != "gpu" {
			continue
		}
		ok = true
		if g.model == "" && isTRES {
			sum = g.count
			continue
		}
		parts += g.count
		if g.model != "" && len(models) < 8 {
			models = append(models, g.model)
		}
	}
	if sum >= 0 {
		return sum, models, ok
	}
	return min(parts, 1<<30), models, ok
}

// gpuIndices are the accelerators' indices of one node's part of gres_detail.
func gpuIndices(detail string) []int {
	var out []int
	for _, g := range parseGRES(detail) {
		if g.name == "gpu" && len(out) < maxGPUs {
			out = append(out, g.indices...)
		}
	}
	return out
}
