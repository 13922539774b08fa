//go:build unix

package sshpool

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkSSHD is 200 connections to a real sshd, one after another in the same run: by this pool until every stream runs (names resolved by `ssh -G`, which counts), and by pdsh
// and clush, which run `true` on each. CPU is the client's, with all its children; the server's is on the same cores, and sets the wall time.
func BenchmarkSSHD(b *testing.B) {
	const nodes = 200
	for _, program := range []string{"pdsh", "clush", "ssh"} {
		if _, err := exec.LookPath(program); err != nil {
			b.Fatalf("%v: run sh scripts/setup.sh bench", err)
		}
	}
	d := startSSHD(b, "MaxStartups 2000:100:2000")
	var hosts []string
	for i := range nodes {
		hosts = append(hosts, fmt.Sprintf("127.0.0.%d", i+1))
	}
	children := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for range b.N {
		c := &counter{all: make(chan struct{}), want: nodes}
		p := New(Config{ConfigFile: d.config, Home: b.TempDir(), Payload: fakeSet(b), Folders: []string{d.root + "/tmp/foretop-$u"}, Shared: "$HOME/.cache/foretop"}, c)
		_, _ = p.scripts() // hashing is not a node's cost
		begun, before := time.Now(), cpu()+children()
		for _, h := range hosts {
			p.Add(Target{Name: "ftsh@" + h})
		}
		<-c.all
		ours := cpu() + children() - before
		b.ReportMetric(time.Since(begun).Seconds(), "foretop-s")
		b.ReportMetric(1000*ours.Seconds()/nodes, "foretop-cpu-ms/node")
		p.Close()
		for _, other := range [][]string{
			{"pdsh", "-R", "ssh", "-f", "64", "-l", "ftsh", "-w", strings.Join(hosts, ","), "true"},
			{"clush", "-q", "-f", "64", "-l", "ftsh", "-o", "-F " + d.config, "-w", strings.Join(hosts, ","), "true"},
		} {
			cmd := exec.Command(other[0], other[1:]...)
			cmd.Env = append(os.Environ(), "PDSH_SSH_ARGS=-F "+d.config+" -a -x -l%u %h")
			var errs bytes.Buffer
			cmd.Stderr = &errs
			begun, before := time.Now(), children()
			if err := cmd.Run(); err != nil {
				b.Fatalf("%s: %v\n%.2000s", other[0], err, errs.String())
			}
			used := children() - before
			b.ReportMetric(time.Since(begun).Seconds(), other[0]+"-s")
			b.ReportMetric(1000*used.Seconds()/nodes, other[0]+"-cpu-ms/node")
			b.ReportMetric(used.Seconds()/ours.Seconds(), other[0]+"-cpu/foretop")
		}
	}
}
