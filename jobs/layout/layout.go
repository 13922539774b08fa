// Package layout says where each rank of a parallel job stands: which share of every tensor, stage of the pipeline, replica of the data, part of the
// sequence or expert is its own, and which ranks it talks to along each of these.
//
// [Said.Layout] reads what a job's processes say of it (options, environment, configuration files, each as name and value) and computes the place of a
// rank as the framework itself does; [Manual] takes what a person wrote. Sizes that do not multiply to the number of ranks are an error in words: nothing
// is guessed. Pure functions: the package reads no system and imports nothing of ours. Package fleet calls it when a job's processes changed.
//
// A layout is a number system: the rank is written with a digit for each dimension, the fastest one first. Frameworks differ in the order only, and in
// that expert layers have a grid of their own over the same ranks.
//
// # Who counts how
//
//	Megatron-LM, NeMo                  tp cp dp pp, experts etp ep edp pp     with --use-tp-pp-dp-mapping: tp cp pp dp, etp ep pp edp
//	GPT-NeoX, Megatron-DeepSpeed       tp dp pp                               the same; sequence parallel: sp dp
//	DeepSpeed                          dp pp                                  MiCS: dp_shard dp_replicate; Ulysses: sp dp
//	torchtitan                         tp cp dp_shard dp_replicate pp         experts etp ep edp dp_replicate pp
//	accelerate                         tp sp cp dp_shard dp_replicate
//	PyTorch FSDP, HSDP                 dp_shard dp_replicate                  a node's ranks are a shard group
//	MaxText (JAX)                      the mesh's axes, last one fastest      within a node first, then over nodes
package layout

import (
	"slices"
	"strconv"
	"strings"
)

// Names of dimensions.
const (
	TP        = "tp"           // tensor parallel
	GTP       = "gtp"          // Megatron's sharding of weights beside tp
	CP        = "cp"           // context parallel
	SP        = "sp"           // sequence parallel as DeepSpeed Ulysses has it: its ranks share a batch
	DP        = "dp"           // data parallel
	Shard     = "dp_shard"     // data parallel over which parameters are sharded
	Replicate = "dp_replicate" // data parallel over which they are whole copies
	PP        = "pp"           // pipeline parallel
	EP        = "ep"           // experts spread over ranks
	ETP       = "etp"          // tensor parallel within an expert
	EGTP      = "egtp"         // gtp within an expert
	EDP       = "edp"          // copies of an expert
)

// Dim is one dimension of a grid of ranks.
type Dim struct {
	Name string
	Size int
}

// Layout is where the ranks of a job stand. It is never changed once made.
type Layout struct {
	Dims      []Dim // fastest first, each larger than 1. A name may come twice: its later digit counts whole runs of the earlier
	Experts   []Dim // the same of expert layers; nil where they are not spread
	World     int   // ranks, or GPUs
	PerGPU    bool  // GPUs are counted, not processes
	Virtual   int   // model chunks of a pipeline rank; 0 or 1: its stage is one piece
	Framework string
	From      string   // where it was said: "flags", "environment", a file's name, "manual"
	Notes     []string // what else is to be said, in words
}

// Size is how many ranks there are along a dimension; 1 where there is none of that name.
func (l *Layout) Size(name string) int {
	n := 1
	for _, d := range l.grid(name) {
		if d.Name == name {
			n *= d.Size
		}
	}
	return n
}

// grid is the one that has a dimension; the dense one where both have.
func (l *Layout) grid(name string) []Dim {
	has := func(d Dim) bool { return d.Name == name }
	if !slices.ContainsFunc(l.Dims, has) && slices.ContainsFunc(l.Experts, has) {
		return l.Experts
	}
	return l.Dims
}

// Coord is a rank's place along a dimension, from 0.
func (l *Layout) Coord(rank int, name string) int {
	at, whole := 0, 1
	for _, d := range l.grid(name) {
		if d.Name == name {
			at += rank % d.Size * whole
			whole *= d.Size
		}
		rank /= d.Size
	}
	return at
}

// Rank is the rank at a place: at gives the place along each name of [Layout.Names]. It is the inverse of Coord.
func (l *Layout) Rank(at func(name string) int) int {
	rank, stride := 0, 1
	seen := map[string]int{}
	for _, d := range l.Dims {
		whole := max(1, seen[d.Name])
		rank += at(d.Name) / whole % d.Size * stride
		seen[d.Name] = whole * d.Size
		stride *= d.Size
	}
	return rank
}

// Names are the dimensions, fastest first, each once; those of experts that the dense grid has not come last.
func (l *Layout) Names() []string {
	var names []string
	for _, grid := range [][]Dim{l.Dims, l.Experts} {
		for _, d := range grid {
			if !slices.Contains(names, d.Name) {
				names = append(names, d.Name)
			}
		}
	}
	return names
}

// Peers are the ranks that a rank talks to along a dimension, itself among them, in their order there.
func (l *Layout) Peers(rank int, name string) []int {
	if rank < 0 || rank >= l.World {
		return nil
	}
	peers := []int{rank}
	stride := 1
	for _, d := range l.grid(name) {
		if d.Name == name {
			more := make([]int, 0, len(peers)*d.Size)
			for i := range d.Size {
				for _, p := range peers {
					more = append(more, p+(i-p/stride%d.Size)*stride)
				}
			}
			peers = more
		}
		stride *= d.Size
	}
	return peers
}

// Groups are the communicators along a dimension, by their first rank.
func (l *Layout) Groups(name string) [][]int {
	var groups [][]int
	for rank := range l.World {
		if l.Coord(rank, name) == 0 {
			groups = append(groups, l.Peers(rank, name))
		}
	}
	return groups
}

// Between names the dimension along which two ranks are peers: of the dense grid, and of the experts'; "" for none.
func (l *Layout) Between(a, b int) (dense, expert string) {
	return between(l.Dims, a, b), between(l.Experts, a, b)
}

func between(grid []Dim, a, b int) (name string) {
	for _, d := range grid {
		if a%d.Size != b%d.Size {
			if name != "" && name != d.Name {
				return ""
			}
			name = d.Name
		}
		a, b = a/d.Size, b/d.Size
	}
	return name
}

// order is how dimensions are written, whatever order they are counted in.
var order = []string{TP, GTP, CP, SP, PP, DP, Replicate, Shard, EP, ETP, EGTP, EDP}

// String is the sizes in words: "tp 8 · pp 4 · dp 8".
func (l *Layout) String() string {
	var words []string
	for _, name := range order {
		n := l.Size(name)
		switch {
		case n == 1, name == EDP, name == ETP && n == l.Size(TP):
			continue
		case name == PP && l.Virtual > 1:
			words = append(words, "pp "+strconv.Itoa(n)+" × "+strconv.Itoa(l.Virtual)+" chunks")
		default:
			words = append(words, short(name)+" "+strconv.Itoa(n))
		}
	}
	if len(words) == 0 {
		return "dp " + strconv.Itoa(l.World)
	}
	return strings.Join(words, " · ")
}

// short is a dimension's name without its kind, where that is clear.
func short(name string) string {
	switch name {
	case Shard:
		return "shard"
	case Replicate:
		return "replicas"
	}
	return name
}
