package layout

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Job is what of a job a layout depends on.
type Job struct {
	World int // ranks there should be; 0 unknown
	Local int // ranks of a node; 0 unknown, or not the same everywhere
	GPUs  int // of a rank; 0 unknown, or not the same everywhere
}

// Said is what a process of a job says of its layout. Names are those of options and keys in lower case, with "_" for "-", without what stands before
// their last dot; of variables as they are. Values are numbers and single words.
type Said struct {
	Flags map[string]string
	Env   map[string]string
	Files []File
}

// File is what a configuration file says that the command line names.
type File struct {
	Name    string // without its folder
	Trouble string // why it could not be read
	Keys    map[string]string
}

// Twice is the value of a name that was said more than once, with different values in different places: no one can tell which of them holds.
const Twice = "!"

// Any says whether anything was said that some framework understands.
func (s *Said) Any() bool { return s.family() != nil }

// Unread names a file that could not be read, and why; nil where all could.
func (s *Said) Unread() error { return s.unread("") }

// unread leaves out files of a kind.
func (s *Said) unread(but string) error {
	for _, f := range s.Files {
		if f.Trouble != "" && (but == "" || !strings.HasSuffix(f.Name, but)) {
			return fmt.Errorf("%s: %s", f.Name, f.Trouble)
		}
	}
	return nil
}

// Layout computes the layout. It is nil, without an error, where nothing was said of one; the error says in words why it cannot be computed.
func (s *Said) Layout(job Job) (*Layout, error) {
	f := s.family()
	if f == nil {
		return nil, nil
	}
	if job.World <= 0 {
		return nil, fmt.Errorf("how many ranks there should be is not known")
	}
	but := ""
	if f.name == "Megatron-LM" { // DeepSpeed's file, a JSON one, says nothing that its options leave open
		but = ".json"
	}
	if err := s.unread(but); err != nil && f.inFiles {
		return nil, fmt.Errorf("what the options leave open stands in a file: %w", err)
	}
	r := reader{said: s}
	l := &Layout{World: job.World, Framework: f.name}
	if err := f.compute(&r, job, l); r.err != nil {
		return nil, r.err
	} else if err != nil {
		return nil, err
	}
	l.From = r.from()
	return l, nil
}

// family is a way of saying and of counting.
type family struct {
	name    string
	keys    []string // that alone tell it; compute reads others too
	inFiles bool     // its configuration files hold sizes too
	compute func(*reader, Job, *Layout) error
}

// families is the table of them; the first one that was said holds: what launches another's code says that other's options too.
func families() []family {
	return []family{
		{"Megatron-LM", megatronKeys, true, megatron},
		{"Megatron-LM", accelerateMegatronKeys, false, accelerateMegatron},
		{"torchtitan", titanKeys, true, titan},
		{"accelerate", accelerateKeys, false, accelerate},
		{"MaxText", maxTextKeys(), true, maxText},
		{"GPT-NeoX", neoxKeys, true, neox},
		{"DeepSpeed", deepspeedKeys, true, deepspeed},
		{"FSDP", fsdpKeys, false, fsdp},
	}
}

// Keys are all names that are understood: nothing else of a command line or file is of use here.
func Keys() []string {
	keys := slices.Clone(moreKeys)
	for _, f := range families() {
		keys = append(keys, f.keys...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// moreKeys do not tell a framework by themselves.
var moreKeys = []string{"num_layers", "use_tp_pp_dp_mapping", "hardware", "virtual_pipeline_model_parallel_size", "pipeline_parallel_size"}

func (s *Said) family() *family {
	all := families()
	for i := range all {
		for _, key := range all[i].keys {
			if _, _, ok := s.find(key); ok {
				return &all[i]
			}
		}
	}
	return nil
}

// find looks a name up: options go before the environment, and both before files, of which the first named one holds.
func (s *Said) find(key string) (value, from string, ok bool) {
	if v, ok := s.Flags[key]; ok {
		return v, "flags", true
	}
	if v, ok := s.Env[key]; ok {
		return v, "environment", true
	}
	for _, f := range s.Files {
		if v, ok := f.Keys[key]; ok {
			return v, f.Name, true
		}
	}
	return "", "", false
}

// reader looks names up, and keeps where they were found and the first thing that is wrong.
type reader struct {
	said *Said
	used []string
	err  error
}

func (r *reader) word(key string) string {
	v, from, ok := r.said.find(key)
	switch {
	case !ok:
		return ""
	case v == Twice:
		r.fail("%s is given more than once, with different values (%s)", key, from)
		return ""
	}
	if !slices.Contains(r.used, from) {
		r.used = append(r.used, from)
	}
	return v
}

// size reads the first of the names that was said, or otherwise. It is 1 to maxSize, or rest where a negative number means "what is left".
func (r *reader) size(otherwise int, keys ...string) int {
	for _, key := range keys {
		v := r.word(key)
		if v == "" || v == "none" || v == "null" {
			continue
		}
		n, err := strconv.Atoi(v)
		switch {
		case err == nil && n < 0:
			return rest
		case err == nil && n == 0:
			return 1 // how some write "off"
		case err != nil || n > maxSize:
			r.fail("%s is %q, which is no size", key, v)
			return otherwise
		}
		return n
	}
	return otherwise
}

const (
	maxSize = 1 << 20
	rest    = -1
)

func (r *reader) yes(key string) bool {
	v := strings.ToLower(r.word(key))
	return v == "true" || v == "1" || v == "yes"
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) from() string { return strings.Join(r.used, " and ") }

// grid makes the dimensions of names and sizes, fastest first. One size may be rest; all together they must give the world.
func grid(world int, dims ...Dim) ([]Dim, error) { return spread(world, "ranks", dims...) }

// spread is grid over what is counted in other words than ranks.
func spread(world int, what string, dims ...Dim) ([]Dim, error) {
	known, open := 1, -1
	for i, d := range dims {
		switch {
		case d.Size == rest && open >= 0:
			return nil, fmt.Errorf("%s and %s are both left open", dims[open].Name, d.Name)
		case d.Size == rest:
			open = i
		case d.Size < 1 || known > maxSize/d.Size:
			return nil, fmt.Errorf("%s is more than there can be", product(dims))
		default:
			known *= d.Size
		}
	}
	switch {
	case open >= 0 && world%known != 0:
		return nil, fmt.Errorf("%s does not divide %d %s", equation(dims, known), world, what)
	case open >= 0:
		dims = slices.Clone(dims)
		dims[open].Size = world / known
	case known != world:
		return nil, fmt.Errorf("%s, but there are %d %s", equation(dims, known), world, what)
	}
	return slices.DeleteFunc(slices.Clone(dims), func(d Dim) bool { return d.Size == 1 }), nil
}

// equation is product, and what comes of it: "tp 8 × pp 4 = 32".
func equation(dims []Dim, n int) string {
	p := product(dims)
	if !strings.Contains(p, "×") {
		return p
	}
	return p + " = " + strconv.Itoa(n)
}

// product words the known sizes: "tp 8 × pp 4".
func product(dims []Dim) string {
	var words []string
	for _, d := range dims {
		if d.Size > 1 {
			words = append(words, d.Name+" "+strconv.Itoa(d.Size))
		}
	}
	if len(words) == 0 {
		return "1"
	}
	return strings.Join(words, " × ")
}
