package slurm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"foretop/schedulers"
)

// clockwork is a controller that is played: it notes when it is asked, and how.
type clockwork struct {
	played
	mu      sync.Mutex
	rounds  []time.Time
	busy    bool
	takes   time.Duration // an answer
	jobs    int
	nodes   int
	fail    error
	squeue  func() ([]byte, error)
	overlap bool
}

func newClockwork() *clockwork {
	c := &clockwork{jobs: 1, nodes: 1}
	c.version, c.config = "24.05.1", "ClusterName = east\nPrivateData = none\n"
	c.answer = func(program string, argv []string) ([]byte, error) {
		c.mu.Lock()
		if c.overlap = c.overlap || c.busy; program == "squeue" {
			c.rounds = append(c.rounds, time.Now())
		}
		c.busy = true
		takes, fail, jobs, nodes, squeue := c.takes, c.fail, c.jobs, c.nodes, c.squeue
		c.mu.Unlock()
		time.Sleep(takes)
		c.mu.Lock()
		c.busy = false
		c.mu.Unlock()
		if fail != nil {
			return nil, fail
		}
		var out strings.Builder
		switch {
		case program == "squeue" && squeue != nil:
			return squeue()
		case program == "squeue":
			out.WriteString(`{"meta":{"slurm":{"cluster":"east"}},"jobs":[`)
			for i := range jobs {
				fmt.Fprintf(&out, `{"job_id":%d,"job_state":["RUNNING"],"nodes":"n1"},`, i+1)
			}
		default:
			out.WriteString(`{"nodes":[`)
			for i := range nodes {
				fmt.Fprintf(&out, `{"name":"n%d","state":["IDLE"]},`, i+1)
			}
		}
		return []byte(strings.TrimSuffix(out.String(), ",") + "]}"), nil
	}
	return c
}

func (c *clockwork) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// watch runs a Watch over the time that f takes; told are the pictures so far.
func (c *clockwork) watch(t *testing.T, options Options, f func(s *Slurm, told func() []*schedulers.Picture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := Find(t.Context(), c, options)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var pictures []*schedulers.Picture
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Watch(ctx, func(p *schedulers.Picture) {
				mu.Lock()
				defer mu.Unlock()
				pictures = append(pictures, p)
			})
		}()
		f(s, func() []*schedulers.Picture {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return pictures
		})
		cancel()
		<-done
		if c.overlap {
			t.Error("two questions at once")
		}
	})
}

// gaps are the times between the rounds.
func (c *clockwork) gaps() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []time.Duration
	for i := 1; i < len(c.rounds); i++ {
		out = append(out, c.rounds[i].Sub(c.rounds[i-1]))
	}
	return out
}

func within(t *testing.T, gaps []time.Duration, least, most time.Duration) {
	t.Helper()
	if len(gaps) == 0 {
		t.Error("it was asked once only")
	}
	for _, g := range gaps {
		if g < least || g > most {
			t.Errorf("asked after %s, not between %s and %s: %s", g, least, most, gaps)
		}
	}
}

func TestPace(t *testing.T) {
	c := newClockwork()
	c.watch(t, Options{}, func(s *Slurm, told func() []*schedulers.Picture) {
		time.Sleep(5 * time.Minute)
		if p := told(); len(p) != 1 || p[0].Problem != nil || p[0].Cluster != "east" || len(p[0].Jobs) != 1 || len(p[0].Nodes) != 1 {
			t.Errorf("nothing changed, yet told %d times: %+v", len(p), p[0])
		}
		within(t, c.gaps(), 15*time.Second, 17*time.Second)
	})
}

func TestPaceOfALargeCluster(t *testing.T) {
	for _, c := range []*clockwork{{jobs: largeJobs + 1}, {nodes: largeNodes + 1}} {
		large := newClockwork()
		large.jobs, large.nodes = max(c.jobs, 1), max(c.nodes, 1)
		large.watch(t, Options{}, func(s *Slurm, told func() []*schedulers.Picture) {
			time.Sleep(3 * time.Minute)
			told()
			within(t, large.gaps(), 30*time.Second, 33*time.Second)
		})
	}
}

func TestPaceOfASlowController(t *testing.T) {
	c := newClockwork()
	c.takes = 4 * time.Second // a round takes 8 s
	c.watch(t, Options{}, func(s *Slurm, told func() []*schedulers.Picture) {
		time.Sleep(10 * time.Minute)
		if p := told(); p[0].Every != 80*time.Second {
			t.Errorf("told every %s", p[0].Every)
		}
		within(t, c.gaps(), 80*time.Second, 88*time.Second)
	})
}

func TestHurry(t *testing.T) {
	c := newClockwork()
	c.watch(t, Options{Every: 2 * time.Minute}, func(s *Slurm, told func() []*schedulers.Picture) {
		time.Sleep(time.Second)
		for range 100 {
			s.Hurry()
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(5 * time.Minute)
		told()
		gaps := c.gaps()
		within(t, gaps[:1], 15*time.Second, 15*time.Second)
		within(t, gaps[1:], 2*time.Minute, 132*time.Second)
	})
	c = newClockwork()
	c.watch(t, Options{}, func(s *Slurm, told func() []*schedulers.Picture) {
		for range 600 {
			s.Hurry()
			time.Sleep(time.Second / 3)
		}
		told()
		within(t, c.gaps(), 15*time.Second, 17*time.Second)
	})
}

func TestControllerDown(t *testing.T) {
	c := newClockwork()
	c.watch(t, Options{}, func(s *Slurm, told func() []*schedulers.Picture) {
		time.Sleep(time.Second)
		down := &schedulers.ExitError{Status: 1, Words: "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"}
		c.set(func() { c.fail, c.takes = down, 9*time.Second })
		start := time.Now()
		time.Sleep(30 * time.Minute)
		p := told()
		if len(p) < 2 || len(p) > 5 {
			t.Fatalf("told %d times", len(p)) // as the time between questions grows
		}
		last := p[len(p)-1]
		if last.Problem == nil || !strings.Contains(last.Problem.Text, "Unable to contact") || !strings.Contains(last.Problem.Remedy, "scontrol ping") ||
			last.Problem.Since.Sub(start) > 20*time.Second || len(last.Jobs) != 1 || len(last.Nodes) != 1 || last.At != p[0].At {
			t.Errorf("%+v: %+v", last, last.Problem)
		}
		gaps := c.gaps()
		within(t, gaps[:2], 15*time.Second, 17*time.Second)
		within(t, gaps[len(gaps)-2:], 4*time.Minute, 5*time.Minute)
		if len(gaps) > 15 {
			t.Errorf("asked %d times in half an hour", len(gaps))
		}
		c.set(func() { c.fail, c.takes = nil, 0 })
		s.Hurry()
		time.Sleep(20 * time.Second)
		if p = told(); p[len(p)-1].Problem != nil || p[len(p)-1].At.Before(start.Add(30*time.Minute)) {
			t.Errorf("it answers again: %+v", p[len(p)-1])
		}
	})
}

// A question without an answer ends, and loses nothing that was known.
func TestNoAnswer(t *testing.T) {
	c := newClockwork()
	c.watch(t, Options{Timeout: 20 * time.Second}, func(s *Slurm, told func() []*schedulers.Picture) {
		time.Sleep(time.Second)
		c.set(func() {
			c.squeue = func() ([]byte, error) { time.Sleep(21 * time.Second); return nil, context.DeadlineExceeded }
		})
		time.Sleep(time.Minute)
		p := told()
		if last := p[len(p)-1]; last.Problem == nil || last.Problem.Text != "squeue: no answer within 20s: context deadline exceeded" || len(last.Jobs) != 1 {
			t.Errorf("%+v", last)
		}
	})
}

func TestOnlyWhatChangedIsNew(t *testing.T) {
	c := newClockwork()
	c.watch(t, Options{}, func(s *Slurm, told func() []*schedulers.Picture) {
		time.Sleep(40 * time.Second)
		c.set(func() { c.jobs = 2 })
		time.Sleep(40 * time.Second)
		p := told()
		if len(p) != 2 || len(p[1].Jobs) != 2 || !identical(p[0].Nodes, p[1].Nodes) || len(p[0].Jobs) != 1 {
			t.Errorf("%d pictures", len(p))
		}
	})
}

// An installation without JSON, and one with too much of it, is asked for text, from then on.
func TestFallsBackToText(t *testing.T) {
	for name, json := range map[string]func() ([]byte, error){
		"no plugin": func() ([]byte, error) {
			return nil, &schedulers.ExitError{Status: 1, Words: "squeue: fatal: JSON plugin load failure"}
		},
		"unknown": func() ([]byte, error) {
			return nil, &schedulers.ExitError{Status: 1, Words: "squeue: unrecognized option '--json'"}
		},
		"no JSON":     func() ([]byte, error) { return []byte("JOBID PARTITION\n"), nil },
		"too much":    func() ([]byte, error) { return nil, schedulers.ErrTooMuch },
		"too much, b": func() ([]byte, error) { return nil, fmt.Errorf("squeue: %w", schedulers.ErrTooMuch) },
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			p := &played{version: "24.05.1"}
			p.answer = func(program string, argv []string) ([]byte, error) {
				line := strings.Join(argv, " ")
				switch {
				case strings.Contains(line, "--json"):
					asked = append(asked, program+" json")
					return json()
				case program == "squeue":
					asked = append(asked, "squeue text")
					_, mark, _ := strings.Cut(line, "JobArrayID:@")
					mark, _, _ = strings.Cut(mark, "@")
					return asSqueue(mark, map[string]string{"JobID": "5", "JobArrayID": "5", "State": "RUNNING", "NodeList": "n1", "tres-per-node": "gres/gpu:8"}), nil
				case strings.Contains(line, "show config"):
					return []byte("Configuration data as of 2026\nClusterName             = west\nPrivateData             = none\n"), nil
				}
				asked = append(asked, "scontrol text")
				return []byte("NodeName=n1 State=MIXED Gres=gpu:8\n"), nil
			}
			s := p.find(t)
			for range 2 {
				picture := s.round(t.Context(), nil)
				if picture.Problem != nil || len(picture.Jobs) != 1 || len(picture.Nodes) != 1 || picture.Cluster != "west" || !picture.Whole || len(picture.Jobs[0].GPUsOn["n1"]) != 8 {
					t.Fatalf("%+v %+v", picture, picture.Problem)
				}
			}
			if got, want := strings.Join(asked, ", "), "squeue json, squeue text, scontrol json, scontrol text, squeue text, scontrol text"; got != want {
				t.Errorf("asked %s", got)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		err          error
		text, remedy string
	}{
		{&schedulers.ExitError{Status: 1, Words: "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"}, "Unable to contact", "scontrol ping"},
		{&schedulers.ExitError{Status: 1, Words: "squeue: error: Munge encode failed: Failed to access \"/run/munge/munge.socket.2\""}, "Munge encode", "munge does not run"},
		{&schedulers.ExitError{Status: 1, Words: "squeue: fatal: Could not establish a configuration source"}, "configuration source", "SLURM_CONF"},
		{&schedulers.ExitError{Status: 1, Words: "slurm_load_jobs error: Incompatible versions of client and server code"}, "Incompatible", "another release"},
		{&schedulers.ExitError{Status: 127, Words: "env: '/opt/slurm/bin/squeue': No such file or directory"}, "No such file", "gone"},
		{&schedulers.ExitError{Status: 3, Words: "something new\x1b[31m"}, "something new\ufffd", ""},
		{fmt.Errorf("squeue: %w", context.DeadlineExceeded), "deadline", "busy"},
		{schedulers.ErrTooMuch, "too long", "your own jobs"},
		{errors.New("gpu001 is lost"), "gpu001 is lost", ""},
	} {
		p := problem(c.err)
		if !strings.Contains(p.Text, c.text) || !strings.Contains(p.Remedy, c.remedy) || (c.remedy == "") != (p.Remedy == "") {
			t.Errorf("%v: %+v", c.err, p)
		}
	}
}

func TestFind(t *testing.T) {
	none := runnerFunc(func() ([]byte, error) { return nil, &schedulers.ExitError{Status: 127} })
	if _, err := Find(t.Context(), none, Options{}); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	for out, want := range map[string]string{
		"": "tells no version",
		"squeue\n/b/scontrol\n/b/sinfo\nslurm 24.05.1\n":    "no path",
		"/b/squeue\n/b/scontrol\n/b/sinfo\nother 24.05.1\n": "no version of Slurm",
		"/b/squeue\n/b/scontrol\n/b/sinfo\nslurm x.y\n":     "no version of Slurm",
	} {
		if _, err := Find(t.Context(), runnerFunc(func() ([]byte, error) { return []byte(out), nil }), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", out, err)
		}
	}
	unconfigured := runnerFunc(func() ([]byte, error) {
		return []byte("/b/squeue\n/b/scontrol\n/b/sinfo\n"), &schedulers.ExitError{Status: 1, Words: "squeue: fatal: Could not establish a configuration source"}
	})
	if _, err := Find(t.Context(), unconfigured, Options{}); err == nil || errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "configuration source") {
		t.Error(err)
	}
	for out, want := range map[string]version{"slurm 24.05.1": {24, 5}, "slurm-wlm 22.05.8": {22, 5}, "slurm 26.05.0-0rc1": {26, 5}, "slurm 20.11.9-1": {20, 11}} {
		if v, _, ok := parseVersion(out); !ok || v != want {
			t.Errorf("%s: %v %v", out, v, ok)
		}
	}
}

type runnerFunc func() ([]byte, error)

func (f runnerFunc) Run(context.Context, int, ...string) ([]byte, error) { return f() }
func (f runnerFunc) Where() string                                       { return "played" }
