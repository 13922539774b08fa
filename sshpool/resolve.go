package sshpool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"foretop/telemetry"
)

// resolver asks the user's own ssh what a name means, a few at a time, and remembers the answers as long as the configuration
// files that ssh said it read are the same.
type resolver struct {
	program string // path of ssh; empty: none installed
	config  string // -F
	env     environment
	slots   chan struct{}
	timing  Timing

	base func() answer // what ssh answers without any configuration; nil: nothing

	mu     sync.Mutex
	cached map[spec]resolution
}

type resolution struct {
	r     *Resolved
	files []fileState
}

func newResolver(cfg Config) *resolver {
	name := cfg.Program
	if name == "" {
		name = "ssh"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		path = ""
	}
	env := environment{Home: cfg.Home, UID: os.Getuid(), Getenv: os.Getenv, Environ: os.Environ}
	env.HostName, _ = os.Hostname()
	if u, err := user.Current(); err == nil {
		env.LocalUser = u.Username
	}
	r := &resolver{
		program: path, config: cfg.ConfigFile, env: env, timing: cfg.Timing,
		slots: make(chan struct{}, max(2, runtime.NumCPU())), cached: make(map[spec]resolution),
	}
	r.base = sync.OnceValue(r.askBase)
	return r
}

// askBase asks for the defaults, once.
func (r *resolver) askBase() answer {
	ctx, cancel := context.WithTimeout(context.Background(), r.timing.Resolve)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.program, "-F", os.DevNull, "-G", "--", "localhost")
	cmd.WaitDelay = r.timing.Resolve / 10
	out, err := cmd.Output()
	if err != nil {
		return nil // then all is taken for configured
	}
	return readG(out)
}

// resolve gives all that is needed to reach name. The answer may be shared: it is not to be changed.
func (r *resolver) resolve(ctx context.Context, name string) (answer *Resolved, err error) {
	if look := traceOf(ctx).step("resolve"); look != nil {
		defer func() {
			r.explain(look, answer)
			look.end(err)
		}()
	}
	s, err := parseName(name)
	if err != nil {
		return nil, &problem{state: Lost, again: pauseHold, cause: err.Error(), remedy: "name it as ssh does: host, alias or user@host:port", err: err}
	}
	r.mu.Lock()
	hit, ok := r.cached[s]
	r.mu.Unlock()
	if ok && unchanged(hit.files) {
		return hit.r, nil
	}
	if r.program == "" {
		return withoutProgram(s, r.config, r.env)
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	answer, files, err := r.ask(ctx, s)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.cached[s] = resolution{answer, files}
	r.mu.Unlock()
	return answer, nil
}

// ask runs `ssh -G`. With -v ssh names on stderr each configuration file that it reads: the cache's key.
func (r *resolver) ask(ctx context.Context, s spec) (*Resolved, []fileState, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timing.Resolve)
	defer cancel()
	args := []string{"-v", "-G"}
	if r.config != "" {
		args = append(args, "-F", r.config)
	}
	if s.Port != 0 {
		args = append(args, "-p", strconv.Itoa(s.Port))
	}
	if s.User != "" {
		args = append(args, "-l", s.User)
	}
	cmd := exec.CommandContext(ctx, r.program, append(args, "--", s.Host)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = r.timing.Resolve / 10
	if err := cmd.Run(); err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			return nil, nil, &problem{state: Lost, again: pauseFar, cause: fmt.Sprintf("ssh -G gave no answer in %v", r.timing.Resolve),
				remedy: "look at Match exec and CanonicalizeHostname in your ssh configuration", err: err}
		}
		return nil, nil, &problem{state: Lost, again: pauseHold, cause: "ssh configuration: " + lastWords(errs.String(), err),
			remedy: "run `" + r.question(s) + "` and mend what it names", err: err}
	}
	answer, err := parseG(out.Bytes(), s.Host, r.env, r.base())
	if err != nil {
		return nil, nil, &problem{state: Lost, again: pauseHold, cause: err.Error(), err: err}
	}
	return answer, r.filesRead(errs.String()), nil
}

// question is what was asked, as a person would type it.
func (r *resolver) question(s spec) string {
	if r.config != "" {
		return "ssh -F " + quote(r.config) + " -G " + s.Host
	}
	return "ssh -G " + s.Host
}

// usualFiles are the first of filesRead: they may appear, whether or not ssh read them.
const usualFiles = 2

// filesRead gives the state of each file that decides the answer; absent ones count too, for they may appear.
func (r *resolver) filesRead(verbose string) []fileState {
	paths := []string{"/etc/ssh/ssh_config", filepath.Join(r.env.Home, ".ssh", "config")}
	for line := range strings.Lines(verbose) {
		if _, path, ok := strings.Cut(line, "Reading configuration data "); ok {
			path = strings.TrimSpace(path)
			paths = append(paths, path)
			if dir := filepath.Dir(path); strings.HasSuffix(dir, ".d") {
				paths = append(paths, dir)
			}
		}
	}
	states := make([]fileState, 0, len(paths))
	for _, p := range paths {
		states = append(states, stateOf(p))
	}
	return states
}

// atLine finds where a file is named with a line of it.
var atLine = regexp.MustCompile(`(?i)\bline [0-9]+`)

// lastWords picks the first line of a program's stderr that names a line of a file, else the last that is not a debug line.
func lastWords(stderr string, err error) string {
	last := ""
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "debug") && !strings.HasPrefix(line, "OpenSSH_") &&
			!strings.HasPrefix(line, "Pseudo-terminal") {
			last = line
			if atLine.MatchString(line) {
				break
			}
		}
	}
	if last == "" {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.String()
		}
		return telemetry.Clean(err.Error(), 200)
	}
	return telemetry.Clean(last, 200)
}
