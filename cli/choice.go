package cli

import (
	"fmt"
	"os/user"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"foretop/schedulers"
)

// choice is which of a scheduler's nodes are watched. The zero value is "what is mine": the nodes of the user's running jobs.
type choice struct {
	all   bool
	slurm []string // partitions and jobs of Slurm
	kube  []string // CONTEXT[/SELECTOR]; the selector is the API server's to apply
	jobs  []string // jobs of any scheduler, as a person or a key names them

	prometheus string // URL of a server whose overview is watched instead; "" none

	user string // whose jobs are "mine"
	only string // the kind of scheduler that is asked, and has to be there; "" all that are found
	acts bool   // what is watched may be acted on: Slurm's login node is watched too, for orders go through it

	box *blackBox // what records it; nil: nothing does
}

// add gives a command the flags that choose; verb is what is done to the nodes.
func (c *choice) add(cmd *cobra.Command, verb string) {
	cmd.Flags().BoolVarP(&c.all, "all", "a", false, verb+" all nodes of the scheduler, not only those of your running jobs")
	cmd.Flags().StringSliceVar(&c.slurm, "slurm", nil, verb+" the nodes of a Slurm `PARTITION|JOBID`; may be repeated")
	cmd.Flags().StringSliceVar(&c.kube, "kube", nil, verb+" the nodes of a Kubernetes `CONTEXT[/SELECTOR]` that have accelerators; may be repeated")
	cmd.Flags().StringVar(&c.user, "user", "", verb+" the nodes of this user's running jobs where nothing else is chosen")
	cmd.Flags().StringSliceVar(&c.jobs, "job", nil, verb+" the nodes of the job `ID` of any scheduler; may be repeated")
}

// addPrometheus gives a command the flag that has a Prometheus server choose.
func (c *choice) addPrometheus(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.prometheus, "prometheus", "", "watch what a Prometheus or VictoriaMetrics server at `URL` knows; only nodes whose page is opened are connected")
}

// given says that the user chose by a scheduler's words.
func (c *choice) given() bool { return c.all || len(c.slurm)+len(c.kube)+len(c.jobs) > 0 }

// check says what cannot be of a choice beside nodes that are named.
func (c *choice) check(names []string) error {
	switch {
	case len(names) > 0 && c.given():
		return usage(fmt.Errorf("nodes are named, and chosen by a scheduler as well: leave out either %s or the flags --all, --slurm, --kube, --job", names[0]))
	case c.prometheus != "" && (len(names) > 0 || c.given()):
		return usage(fmt.Errorf("--prometheus watches all nodes that the server knows: leave out nodes and the flags --all, --slurm, --kube, --job"))
	case c.all && len(c.slurm)+len(c.jobs) > 0:
		return usage(fmt.Errorf("--all is more than --slurm and --job choose: leave out one of them"))
	}
	for _, words := range [][]string{c.slurm, c.kube, c.jobs} {
		if slices.Contains(words, "") {
			return usage(fmt.Errorf("an empty name after --slurm, --kube or --job: leave the flag out instead"))
		}
	}
	return nil
}

// whoAmI is the name of the user of this process.
func whoAmI() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// nodes are the names of a picture's nodes that are chosen, in order; unknown are the words that name nothing in it.
func (c *choice) nodes(p *schedulers.Picture) (names, unknown []string) {
	switch {
	case c.all, p.Kind == "kubernetes" && len(c.kube) > 0: // its selector chose already
		for i := range p.Nodes {
			if n := &p.Nodes[i]; n.Condition != schedulers.Starting && n.GPUs != 0 {
				names = append(names, n.Name)
			}
		}
	case !c.given():
		names = p.NodesOf(c.user)
		if p.Kind == "kubernetes" { // which has no users: a namespace that is called like one is theirs
			names = append(names, inNamespace(p, c.user)...)
		}
	}
	if p.Kind == "slurm" {
		for _, word := range c.slurm {
			found := inPartition(p, word)
			if found == nil {
				found = ofJob(p, word)
			}
			if names = append(names, found...); found == nil {
				unknown = append(unknown, word)
			}
		}
	}
	for _, word := range c.jobs {
		found := ofJob(p, word)
		if names = append(names, found...); found == nil {
			unknown = append(unknown, word)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), unknown
}

// inNamespace are the nodes that a namespace's jobs hold now.
func inNamespace(p *schedulers.Picture, namespace string) (names []string) {
	for i := range p.Jobs {
		if j := &p.Jobs[i]; namespace != "" && j.Partition == namespace && (j.Phase == schedulers.Running || j.Phase == schedulers.Completing) {
			names = append(names, j.Nodes...)
		}
	}
	return names
}

// inPartition are the nodes of a partition; nil: there is none of that name.
func inPartition(p *schedulers.Picture, partition string) (names []string) {
	for i := range p.Nodes {
		if slices.Contains(p.Nodes[i].Partitions, partition) {
			names = append(names, p.Nodes[i].Name)
		}
	}
	return names
}

// ofJob are the nodes that a job holds now, of an array or a heterogeneous job all its parts; nil: there is no such job. Those of a job that waits or ended
// are none, but not nil.
func ofJob(p *schedulers.Picture, id string) (names []string) {
	for i := range p.Jobs {
		j := &p.Jobs[i]
		whole := strings.IndexAny(j.ID, "_+")
		if j.ID != id && j.Key != id && (whole < 0 || j.ID[:whole] != id) {
			continue
		}
		if names == nil {
			names = []string{}
		}
		if j.Phase == schedulers.Running || j.Phase == schedulers.Suspended || j.Phase == schedulers.Completing {
			names = append(names, j.Nodes...)
		}
	}
	return names
}

// words say what is chosen, for the screen's title.
func (c *choice) words() string {
	var parts []string
	if c.all {
		parts = append(parts, "all nodes")
	}
	parts = append(parts, c.slurm...)
	parts = append(parts, c.kube...)
	for _, j := range c.jobs {
		parts = append(parts, "job "+j)
	}
	if parts == nil {
		return "my jobs"
	}
	return strings.Join(parts, ", ")
}

// why says why nothing is watched, and what to do about it.
func (c *choice) why(pictures []*schedulers.Picture, unknown []string) string {
	where := make([]string, len(pictures))
	for i, p := range pictures {
		if p.Problem != nil {
			return p.Kind + " does not answer: " + p.Problem.Text
		}
		where[i] = schedulerName(p)
	}
	at := strings.Join(where, " and ")
	switch {
	case len(pictures) == 0:
		return "no scheduler has answered so far"
	case len(unknown) > 0:
		return at + " knows no job or partition " + strings.Join(unknown, ", ")
	case c.given():
		return "none of the nodes of " + at + " is chosen by " + c.words()
	}
	if c.user == "" {
		return "it is not known which jobs are yours, for this process's user has no name; --all watches all nodes"
	}
	waiting := 0
	for _, p := range pictures {
		for _, j := range p.JobsOf(c.user) {
			if j.Phase == schedulers.Pending {
				waiting++
			}
		}
	}
	text := "no job of " + c.user + " runs on " + at
	switch {
	case waiting == 1:
		text += ": 1 waits"
	case waiting > 1:
		text += fmt.Sprintf(": %d wait", waiting)
	}
	return text + "; --all watches all nodes"
}

// schedulerName is a scheduler as a person would call it.
func schedulerName(p *schedulers.Picture) string {
	kind := map[string]string{"slurm": "Slurm", "kubernetes": "Kubernetes"}[p.Kind]
	if p.Cluster != "" {
		return kind + " " + p.Cluster
	}
	return kind
}
