package slurm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/schedulers"
	"foretop/scripts/testbed"
)

// An ordinary user whom sudoers let run scontrol, through the real sudo.
func TestLiveActSudo(t *testing.T) {
	testbed.Need(t, "sudo")
	l := act(t, testbed.SlurmOptions{Nodes: 2, Conf: []string{"MessageTimeout=60"}})
	sudo := l.ann.slurm.Actor(true)
	o := schedulers.Order{Verb: schedulers.Drain, Node: "node001", Reason: `it's "hot", $(id) [x]`}
	l.refuses(sudo, o, "a password is required", "NOPASSWD")

	// The bed's own files over the machine's, in its own mount namespace.
	for name, text := range map[string]string{
		"sudoers": "Defaults env_keep += \"SLURM_CONF\"\nann ALL=(root) NOPASSWD: /usr/bin/scontrol\n",
		"shadow":  "root:*:19000:0:99999:7:::\nann:*:19000:0:99999:7:::\n",
	} {
		path := filepath.Join(l.bed.Dir, name)
		if err := os.WriteFile(path, []byte(text), 0o440); err != nil {
			t.Fatal(err)
		}
		l.run("root", "mount", "--bind", path, "/etc/"+name)
	}
	if err := l.do(sudo, o); err != nil {
		t.Fatal(err)
	}
	l.looks(o, true)
	m, err := sudo.Mark(t.Context(), "node001")
	if err != nil || m.Reason != o.Reason || m.By != "root" {
		t.Errorf("%+v, %v", m, err)
	}
	l.sinfoSaysSo()
	if err := l.do(sudo, schedulers.Order{Verb: schedulers.Resume, Node: "node001", UnlessSeen: &schedulers.NodeMark{Reason: o.Reason}}); err != nil {
		t.Error(err)
	}

	// The far side's timeout ends scontrol under sudo as well, long before its own.
	s, err := Find(t.Context(), between{beside{l.bed, "ann"}, func(run func() ([]byte, error)) ([]byte, error) {
		l.run("root", "sh", "-c", `kill -STOP "$(cat "$1")"`, "sh", l.bed.Dir+"/slurmctld.pid")
		return run()
	}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	o = schedulers.Order{Verb: schedulers.Drain, Node: "node002", Reason: "ECC"}
	start := time.Now()
	if err := l.do(s.Actor(true), o); !errors.Is(err, schedulers.ErrUnsure) || time.Since(start) > 50*time.Second {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
	if left := l.run("root", "sh", "-c", `cat /proc/[0-9]*/comm 2>/dev/null | grep -x scontrol || true`); strings.TrimSpace(left) != "" {
		t.Errorf("%s runs on", left)
	}
	l.run("root", "sh", "-c", `kill -CONT "$(cat "$1")"`, "sh", l.bed.Dir+"/slurmctld.pid")
	l.looks(o, true)
	l.sinfoSaysSo()
}
