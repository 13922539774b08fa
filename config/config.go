// Package config holds what the user sets: one Config with its defaults, read strictly from one YAML file, and node
// sets (gpu[001-064], @group), which it expands and folds.
//
// It writes nothing, asks no node and knows none of foretop's other packages. The command line (package cli) calls
// it, lays flags over what the file says, and hands the values on.
package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Config is everything that the file can say. The flags of the command line go before it.
type Config struct {
	Refresh  time.Duration `yaml:"refresh"` // how often the screen takes a new picture of the fleet
	Metric   string        `yaml:"metric"`  // what the grid shows at first: one of Metrics
	Theme    string        `yaml:"theme"`   // one of Themes
	Mouse    bool          `yaml:"mouse"`   // take clicks and the wheel from the terminal
	ASCII    bool          `yaml:"ascii"`   // draw with ASCII characters only
	SSH      SSH           `yaml:"ssh"`
	Slurm    Slurm         `yaml:"slurm"`
	Kube     Kube          `yaml:"kubernetes"`
	Metrics  Prometheus    `yaml:"prometheus"`
	Groups   Groups        `yaml:"groups"`   // named node sets
	Topology Topology      `yaml:"topology"` // what nodes share, where no scheduler tells it
	// LogPatterns are the numbers that are looked for in jobs' log files; none: DefaultLogPatterns.
	LogPatterns []LogPattern `yaml:"log_patterns"`
	Layouts     Layouts      `yaml:"layouts"`  // parallel layouts by job name
	ReadOnly    bool         `yaml:"readonly"` // nothing can be done from here, only seen
	Actions     Actions      `yaml:"actions"`
	Hooks       []Hook       `yaml:"hooks"` // whom export and record tell what begins to be wrong
	Recording   Recording    `yaml:"recording"`
	Findings    Findings     `yaml:"findings"`
	NCCLRAS     bool         `yaml:"nccl_ras"` // the NCCL libraries of a job are asked how it does
}

// Findings is which rules judge the fleet.
type Findings struct {
	Off []string `yaml:"off"` // ids of rules that are not asked: hw.pcie. Which there are, the caller of [Load] knows
}

// SSH is how nodes are reached. What it does not say, ssh's own configuration does.
type SSH struct {
	Config string `yaml:"config"` // another ssh configuration file, as ssh -F takes it
}

// Slurm is how a Slurm controller is asked.
type Slurm struct {
	Login string        `yaml:"login"` // the node whose squeue and scontrol are asked; "" this machine's, where there are any
	Every time.Duration `yaml:"every"` // how often; 0: as seldom as suits the cluster
	Sudo  bool          `yaml:"sudo"`  // nodes are drained and resumed, and jobs queued again, with sudo -n scontrol
}

// Kube is how the nodes of a Kubernetes cluster are reached.
type Kube struct {
	Exec      bool   `yaml:"exec"`      // through exec into the pods of `foretop kube-manifest`, not by SSH
	Namespace string `yaml:"namespace"` // of those pods; "" foretop
}

// Prometheus is how the server of --prometheus is asked, and what its series call a node.
type Prometheus struct {
	TokenFile string        `yaml:"token_file"` // holds a bearer token; read anew each time
	CAFile    string        `yaml:"ca_file"`    // the certificate authority to trust, PEM
	Insecure  bool          `yaml:"insecure"`   // trust any certificate
	Every     time.Duration `yaml:"every"`      // how often it is asked; 0: 15s
	Timeout   time.Duration `yaml:"timeout"`    // of one query; 0: 30s
	Hosts     []string      `yaml:"hosts"`      // labels that may name a node, the first that a series has; none: the usual ones
	Short     bool          `yaml:"short"`      // leave out nodes' domains
}

// Bounds of the values; both ends are allowed.
const (
	MinRefresh = 100 * time.Millisecond
	MaxRefresh = 10 * time.Second
	MinSlurm   = 15 * time.Second
	MaxSlurm   = time.Hour
	MinMetrics = 5 * time.Second
	MaxMetrics = 10 * time.Minute
)

// Default is what holds where neither the file nor the command line says otherwise.
func Default() Config {
	return Config{
		Refresh: 500 * time.Millisecond,
		Metric:  "power",
		Theme:   "auto",
		NCCLRAS: true,
	}
}

var labelName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Metrics are the words for what a grid can show, in the order in which the key m goes through them.
func Metrics() []string {
	return []string{"power", "util", "tensor", "memory", "temp", "clock", "network", "nvlink"}
}

// Themes are the words for colours: auto asks the terminal, 8 keeps to the terminal's own eight, none uses no colour.
func Themes() []string { return []string{"auto", "dark", "light", "8", "none"} }

// Validate says what is wrong with the first value that is, as a *ValueError.
func (c Config) Validate() error {
	switch {
	case c.Refresh < MinRefresh || c.Refresh > MaxRefresh:
		return wrong("refresh", "%v is not between %v and %v", c.Refresh, MinRefresh, MaxRefresh)
	case !slices.Contains(Metrics(), c.Metric):
		return wrong("metric", "%s", notOneOf(c.Metric, Metrics()))
	case c.Slurm.Every != 0 && (c.Slurm.Every < MinSlurm || c.Slurm.Every > MaxSlurm):
		return wrong("slurm.every", "%v is not between %v and %v", c.Slurm.Every, MinSlurm, MaxSlurm)
	case c.Metrics.Every != 0 && (c.Metrics.Every < MinMetrics || c.Metrics.Every > MaxMetrics):
		return wrong("prometheus.every", "%v is not between %v and %v", c.Metrics.Every, MinMetrics, MaxMetrics)
	case c.Metrics.Timeout != 0 && (c.Metrics.Timeout < time.Second || c.Metrics.Timeout > MaxMetrics):
		return wrong("prometheus.timeout", "%v is not between 1s and %v", c.Metrics.Timeout, MaxMetrics)
	case slices.ContainsFunc(c.Metrics.Hosts, func(l string) bool { return !labelName.MatchString(l) }):
		return wrong("prometheus.hosts", "a label's name is letters, digits and _: write it as Prometheus shows it")
	case !slices.Contains(Themes(), c.Theme):
		return wrong("theme", "%s", notOneOf(c.Theme, Themes()))
	}
	if err := validLogPatterns(c.LogPatterns); err != nil {
		return err
	}
	if err := c.Groups.validate(); err != nil {
		return err
	}
	if err := c.Topology.validate(c.Groups); err != nil {
		return err
	}
	if err := c.Actions.validate(); err != nil {
		return err
	}
	if err := validHooks(c.Hooks); err != nil {
		return err
	}
	if err := c.Recording.validate(); err != nil {
		return err
	}
	return c.Layouts.validate()
}

// ValueError is a value that cannot be, under the key that holds it, written with dots: ssh.connects.
type ValueError struct {
	Key string
	Err error
}

func (e *ValueError) Error() string { return fmt.Sprintf("%s: %v", e.Key, e.Err) }
func (e *ValueError) Unwrap() error { return e.Err }

func wrong(key, format string, args ...any) error {
	return &ValueError{Key: key, Err: fmt.Errorf(format, args...)}
}

func notOneOf(word string, words []string) string {
	if near, ok := Nearest(word, words); ok {
		return fmt.Sprintf("%q is not known: did you mean %s?", word, near)
	}
	return fmt.Sprintf("%q is not known: write one of %s", word, strings.Join(words, ", "))
}

// asValueError finds the value that an error is about.
func asValueError(err error) (*ValueError, bool) {
	var value *ValueError
	ok := errors.As(err, &value)
	return value, ok
}
