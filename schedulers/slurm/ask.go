package slurm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"foretop/schedulers"
)

// version is a release of Slurm, as 24.05.
type version struct{ major, minor int }

func (v version) before(major, minor int) bool {
	return v.major < major || v.major == major && v.minor < minor
}

// parseVersion reads what squeue --version prints: "slurm 24.05.1", "slurm-wlm 22.05.8".
func parseVersion(s string) (v version, release string, ok bool) {
	words := strings.Fields(s)
	if len(words) < 2 || !strings.HasPrefix(words[0], "slurm") {
		return v, "", false
	}
	release = clean(words[1])
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 2 {
		return v, "", false
	}
	var err1, err2 error
	v.major, err1 = strconv.Atoi(parts[0])
	v.minor, err2 = strconv.Atoi(parts[1])
	return v, release, err1 == nil && err2 == nil && v.major > 0
}

// form is how an answer is asked for.
type form uint8

const (
	formJSON form = iota
	formText      // no JSON in this version or installation, or too much of it
)

// formOf is what a version is asked in first. squeue and sinfo have JSON since 21.08, scontrol since 23.02.
func formOf(v version) form {
	if v.before(21, 8) {
		return formText
	}
	return formJSON
}

// environment is what each command runs with: nothing that a user has set for their own eyes changes what it prints.
var environment = func() []string {
	env := []string{"env", "LC_ALL=C", "SLURM_TIME_FORMAT=%s", "SLURM_BITSTR_LEN=256", "SLURM_JSON=compact"}
	for name := range strings.FieldsSeq(`SLURM_CLUSTERS SQUEUE_ACCOUNT SQUEUE_ALL SQUEUE_ARRAY SQUEUE_ARRAY_UNIQUE SQUEUE_FEDERATION SQUEUE_FORMAT SQUEUE_FORMAT2 SQUEUE_LICENSES
		SQUEUE_LOCAL SQUEUE_NAMES SQUEUE_PARTITION SQUEUE_PRIORITY SQUEUE_QOS SQUEUE_SIBLING SQUEUE_SORT SQUEUE_STATES SQUEUE_USERS SINFO_ALL SINFO_FEDERATION SINFO_FORMAT
		SINFO_LOCAL SINFO_PARTITION SINFO_SORT SCONTROL_ALL SCONTROL_FEDERATION SCONTROL_FUTURE SCONTROL_LOCAL SCONTROL_SIBLING SLURM_YAML`) {
		env = append(env, "-u"+name)
	}
	// env takes -u before what it sets.
	return append(append([]string{"env"}, env[5:]...), env[1:5]...)
}()

// run asks one of Slurm's programs.
func (s *Slurm) run(ctx context.Context, argv ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	out, err := s.runner.Run(ctx, s.options.Limit, append(environment[:len(environment):len(environment)], argv...)...)
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("%s: no answer within %s: %w", name(argv), s.options.Timeout, context.DeadlineExceeded)
	}
	return out, err
}

// name is the program's, for an error.
func name(argv []string) string {
	return argv[0][strings.LastIndexByte(argv[0], '/')+1:]
}

// askJobs asks for all jobs, those that ended and are still known included.
func (s *Slurm) askJobs(ctx context.Context, b *builder) error {
	if s.jobForm == formText {
		return s.textJobs(ctx, b)
	}
	out, err := s.run(ctx, s.squeue, "--json", "--local", "-a", "-t", "all")
	if err == nil {
		var a answer
		a, err = decode(out, "jobs", func(j *jobJSON) bool {
			s.sawCluster(string(j.Cluster))
			r := j.record()
			b.add(&r)
			return true
		})
		if err = s.heard(ctx, a, err); err == nil {
			return nil
		}
	}
	*b = *newBuilder()
	if !withoutJSON(err) {
		return err
	}
	if textErr := s.textJobs(ctx, b); textErr != nil {
		return textErr
	}
	s.jobForm = formText
	return nil
}

func (s *Slurm) textJobs(ctx context.Context, b *builder) error {
	mark, n := strings.ToLower(rand.Text()[:10]), fieldCount(s.version)
	out, err := s.run(ctx, s.squeue, "--local", "-a", "-h", "-t", "all", "-O", squeueFormat(n, mark))
	if err != nil {
		return err
	}
	return parseSqueue(out, n, mark, b.add)
}

// askNodes asks for all nodes.
func (s *Slurm) askNodes(ctx context.Context, b *builder) ([]schedulers.Node, error) {
	if s.nodeForm == formText {
		return s.textNodes(ctx, b)
	}
	argv, list := []string{s.scontrol, "--json", "-a", "show", "nodes"}, "nodes"
	if s.version.before(23, 2) {
		argv = []string{s.sinfo, "--json", "--local", "-a"}
	}
	out, err := s.run(ctx, argv...)
	var nodes []schedulers.Node
	if err == nil {
		var a answer
		a, err = decode(out, list, func(r *nodeJSON) bool {
			if n, ok := b.node(r); ok {
				nodes = append(nodes, n)
			}
			return len(nodes) < schedulers.MaxNodes
		})
		if err = s.heard(ctx, a, err); err == nil {
			return nodes, nil
		}
	}
	if !withoutJSON(err) {
		return nil, err
	}
	nodes, textErr := s.textNodes(ctx, b)
	if textErr != nil {
		return nil, textErr
	}
	s.nodeForm = formText
	return nodes, nil
}

func (s *Slurm) textNodes(ctx context.Context, b *builder) ([]schedulers.Node, error) {
	out, err := s.run(ctx, s.scontrol, "-a", "-o", "-d", "show", "node")
	if err != nil {
		return nil, err
	}
	var nodes []schedulers.Node
	err = parseScontrolNodes(out, func(r *nodeJSON) {
		if n, ok := b.node(r); ok && len(nodes) < schedulers.MaxNodes {
			nodes = append(nodes, n)
		}
	})
	return nodes, err
}

// heard takes from an answer what stands around its records. Up to 22.05 a program that could not reach the controller ends well and says in its JSON that
// something failed, not what: that takes another question, one that does not burden the controller.
func (s *Slurm) heard(ctx context.Context, a answer, err error) error {
	if err != nil {
		return err
	}
	s.sawCluster(a.cluster)
	if len(a.errors) == 0 {
		return nil
	}
	said := strings.Join(a.errors, "; ")
	if remedyOf(said) == "" && s.version.before(23, 2) {
		out, err := s.run(ctx, s.scontrol, "ping")
		var exit *schedulers.ExitError
		if errors.As(err, &exit) && exit.Words != "" {
			said += ": " + exit.Words
		}
		said += ": " + clean(string(out))
	}
	return &schedulers.ExitError{Status: 1, Words: said}
}

func (s *Slurm) sawCluster(name string) {
	if s.cluster == "" && name != "" {
		s.cluster = clean(name)
	}
}

// askConfig asks for the cluster's name, and whether others' jobs are hidden, until it was told once. While that is not known they may be.
func (s *Slurm) askConfig(ctx context.Context) {
	start := time.Now()
	defer func() { s.aside = time.Since(start) }()
	out, err := s.run(ctx, s.scontrol, "show", "config")
	if err != nil {
		return // asked again with the next picture
	}
	s.configured = true
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(line, "=")
		switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
		case "ClusterName":
			s.sawCluster(value)
		case "PrivateData":
			s.private = slices.Contains(strings.Split(value, ","), "jobs")
		}
	}
}

// withoutJSON says whether an error is one that asking for text may get round: the installation has no JSON, or there is too much of it.
func withoutJSON(err error) bool {
	var exit *schedulers.ExitError
	switch {
	case errors.Is(err, errNoJSON), errors.Is(err, schedulers.ErrTooMuch):
		return true
	case errors.As(err, &exit):
		words := strings.ToLower(exit.Words)
		for _, w := range []string{"json", "plugin", "serializer", "mime", "unrecognized option", "invalid option", "data_parser", "openapi"} {
			if strings.Contains(words, w) {
				return remedyOf(exit.Words) == ""
			}
		}
	}
	return false
}
