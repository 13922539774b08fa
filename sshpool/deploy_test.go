//go:build unix

package sshpool

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"foretop/sshpool/payload"
)

// place is a node's folders, under the test's own root.
type place struct {
	local, home string
}

func newPlace(t testing.TB) place {
	root := t.TempDir()
	p := place{local: filepath.Join(root, "local"), home: filepath.Join(root, "home")}
	for _, d := range []string{p.local, p.home} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p place) env() []string { return []string{"HOME=" + p.home, "FT=" + p.local} }

// folders for tests: two local ones and the home of the environment.
func testFolders() []string { return []string{"$FT/a/foretop-$u", "$FT/b/foretop-$u"} }

func deployConfig(t testing.TB, set *payload.Set) Config {
	return Config{Payload: set, Folders: testFolders(), Shared: "$HOME/.cache/foretop"}
}

func exe(t *testing.T, rec *recorder, node string) string {
	t.Helper()
	for _, w := range strings.Fields(rec.line(node, "hello ")) {
		if path, ok := strings.CutPrefix(w, "exe="); ok {
			return path
		}
	}
	t.Fatal("no exe in the hello line")
	return ""
}

func TestDeployUnderLoginShells(t *testing.T) {
	shells := []string{"sh", "dash", "bash", "zsh", "ksh", "mksh", "fish", "tcsh", "csh"}
	set := fakeSet(t)
	tried := 0
	for _, name := range shells {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		tried++
		t.Run(name, func(t *testing.T) {
			at := newPlace(t)
			key := newSigner(t)
			s := newServer(t, shell(path, at.env()...), key.PublicKey())
			p, rec := newTestPool(t, deployConfig(t, set))
			p.Add(Target{Name: "n", Resolved: s.resolved(key)})
			rec.reached("n", Deploying, 0)
			_, seen := rec.reached("n", Live, 0)
			hello := rec.line("n", "hello ")
			if !strings.Contains(hello, "cwd=/ ") {
				t.Errorf("not in /: %s", hello)
			}
			if got := exe(t, rec, "n"); !strings.HasPrefix(got, at.local+"/a/foretop-") {
				t.Errorf("runs from %s", got)
			}
			// Binary-safe both ways, and the second start needs one round trip only.
			rec.send("n", "echo there and back")
			rec.line("n", "there and back")
			s.mu.Lock()
			before := len(s.execs)
			s.mu.Unlock()
			rec.send("n", "exit 5")
			_, seen = rec.reached("n", Lost, seen)
			rec.reached("n", Live, seen)
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.execs) != before+1 {
				t.Errorf("%d commands for a start of what is there", len(s.execs)-before)
			}
			if left := glob(t, at, ".up.*", ".x.*", ".i.*"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	if tried < 3 {
		t.Errorf("only %d login shells here", tried)
	}
}

func glob(t *testing.T, p place, patterns ...string) []string {
	t.Helper()
	var all []string
	for _, pattern := range patterns {
		for _, dir := range []string{p.local + "/*/*", p.home + "/.cache/foretop"} {
			found, err := filepath.Glob(dir + "/" + pattern)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, found...)
		}
	}
	return all
}

func TestDamagedCopyIsReplaced(t *testing.T) {
	at := newPlace(t)
	key := newSigner(t)
	s := newServer(t, shell("/bin/sh", at.env()...), key.PublicKey())
	p, rec := newTestPool(t, deployConfig(t, fakeSet(t)))
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	_, seen := rec.reached("n", Live, 0)
	files := glob(t, at, "c-*")
	if len(files) != 2 {
		t.Fatalf("files: %v", files)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte("#!/bin/sh\necho hostile\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	rec.send("n", "exit 1")
	_, seen = rec.reached("n", Lost, seen)
	rec.reached("n", Live, seen)
}

func TestFolderOfOthersIsNotUsed(t *testing.T) {
	at := newPlace(t)
	evil := filepath.Join(t.TempDir(), "evil")
	u := strconv.Itoa(os.Getuid())
	for _, d := range []string{evil, at.local + "/a", at.local + "/b/foretop-" + u} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(at.local+"/b/foretop-"+u, 0o777); err != nil { // open to all
		t.Fatal(err)
	}
	if err := os.Symlink(evil, at.local+"/a/foretop-"+u); err != nil {
		t.Fatal(err)
	}
	key := newSigner(t)
	s := newServer(t, shell("/bin/sh", at.env()...), key.PublicKey())
	p, rec := newTestPool(t, deployConfig(t, fakeSet(t)))
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	if got := exe(t, rec, "n"); !strings.HasPrefix(got, at.home) {
		t.Errorf("runs from %s", got)
	}
	if left, _ := os.ReadDir(evil); len(left) > 0 {
		t.Errorf("wrote through a link: %v", left)
	}
}

func TestReaderGoesWithNVIDIA(t *testing.T) {
	set := payload.Of(&payload.Bundle{Platform: payload.Here(), Collector: payload.FromBytes("fake", fakeBytes(t)), Args: "collect",
		Reader: payload.FromBytes("reader", []byte("#!/bin/sh\n"))})
	for _, nvidia := range []bool{false, true} {
		at := newPlace(t)
		env := at.env()
		if nvidia {
			env = append(env, "FORETOP_PLAY_NVIDIA=1")
		} else if _, err := os.Stat("/dev/nvidiactl"); err == nil {
			continue
		}
		key := newSigner(t)
		s := newServer(t, shell("/bin/sh", env...), key.PublicKey())
		p, rec := newTestPool(t, deployConfig(t, set))
		p.Add(Target{Name: "n", Resolved: s.resolved(key)})
		hello := rec.line("n", "hello ")
		if !strings.Contains(hello, " args=collect ") || strings.Contains(hello, "/n-") != nvidia || (len(glob(t, at, "n-*")) > 0) != nvidia {
			t.Errorf("nvidia %v: %s, %v", nvidia, hello, glob(t, at, "n-*"))
		}
		p.Close()
	}
}

func TestNoCollectorForPlatform(t *testing.T) {
	at := newPlace(t)
	key := newSigner(t)
	s := newServer(t, shell("/bin/sh", at.env()...), key.PublicKey())
	set := payload.Of(&payload.Bundle{Platform: payload.Platform{OS: "plan9", Arch: "mips"}, Collector: payload.FromBytes("fake", []byte("x"))})
	p, rec := newTestPool(t, deployConfig(t, set))
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	check(t, rec, Refused, "no collector for "+payload.Here().String(), "make")
}

func TestPrune(t *testing.T) {
	at := newPlace(t)
	dir := filepath.Join(at.local, "a", "foretop-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		path := filepath.Join(dir, "c-old"+strconv.Itoa(i))
		if err := os.WriteFile(path, nil, 0o500); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-time.Duration(20+12*i) * 24 * time.Hour)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	key := newSigner(t)
	s := newServer(t, shell("/bin/sh", at.env()...), key.PublicKey())
	p, rec := newTestPool(t, deployConfig(t, fakeSet(t)))
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	rec.reached("n", Live, 0)
	var left []string
	for _, f := range glob(t, at, "c-old*") {
		left = append(left, filepath.Base(f))
	}
	if got := strings.Join(left, " "); got != "c-old0" { // 20 days old; the newest two are the new one and this
		t.Errorf("left: %s", got)
	}
}

// Not one byte is free: also the look whether a folder may execute must not take that for noexec.
func TestDiskFullToTheLastByte(t *testing.T) {
	at := newPlace(t)
	for _, dir := range []string{at.local, at.home} {
		tmpfs(t, dir, "size=64k", 0)
		if err := os.WriteFile(filepath.Join(dir, "full"), make([]byte, 1<<20), 0o600); err == nil {
			t.Fatal("there is room")
		}
	}
	key := newSigner(t)
	s := newServer(t, shell("/bin/sh", at.env()...), key.PublicKey())
	p, rec := newTestPool(t, deployConfig(t, fakeSet(t)))
	p.Add(Target{Name: "n", Resolved: s.resolved(key)})
	check(t, rec, Refused, "disk full", "free some space")
}

// Fifty nodes with folders of their own and one home between them: one upload. The home then freezes (here: is gone): the streams go on.
func TestSharedHome(t *testing.T) {
	const nodes = 50
	root := t.TempDir()
	home := filepath.Join(root, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	key := newSigner(t)
	p, rec := newTestPool(t, deployConfig(t, fakeSet(t)))
	var mu sync.Mutex
	uploads := 0
	for i := range nodes {
		local := filepath.Join(root, "node"+strconv.Itoa(i))
		if err := os.Mkdir(local, 0o700); err != nil {
			t.Fatal(err)
		}
		run := shell("/bin/sh", "HOME="+home, "FT="+local)
		s := newServer(t, func(r *request) {
			if strings.Contains(r.command, "say DONE") {
				mu.Lock()
				uploads++
				mu.Unlock()
			}
			run(r)
		}, key.PublicKey())
		p.Add(Target{Name: "n" + strconv.Itoa(i), Resolved: s.resolved(key)})
	}
	for i := range nodes {
		rec.reached("n"+strconv.Itoa(i), Live, 0)
		if got := exe(t, rec, "n"+strconv.Itoa(i)); !strings.HasPrefix(got, root+"/node") {
			t.Errorf("node %d runs from %s", i, got)
		}
	}
	mu.Lock()
	if uploads != 1 {
		t.Errorf("%d uploads", uploads)
	}
	mu.Unlock()
	if err := os.RemoveAll(home); err != nil {
		t.Fatal(err)
	}
	rec.mu.Lock()
	before := len(rec.lines["n7"])
	rec.mu.Unlock()
	rec.until("more of the stream", func() bool { return len(rec.lines["n7"]) > before+5 })
}

func TestLocal(t *testing.T) {
	path, err := fakeCollector()
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := payload.FromPath("fake", path)
	if err != nil {
		t.Fatal(err)
	}
	at := newPlace(t)
	for _, c := range []struct {
		what string
		file *payload.File
	}{{"as it lies", bundle}, {"embedded", payload.FromBytes("fake", fakeBytes(t))}} {
		t.Run(c.what, func(t *testing.T) {
			t.Setenv("FT", at.local)
			t.Setenv("HOME", at.home)
			p, rec := newTestPool(t, deployConfig(t, payload.Of(&payload.Bundle{Platform: payload.Here(), Collector: c.file, Args: "collect"})))
			p.Add(Target{Name: "here", Local: true})
			_, seen := rec.reached("here", Live, 0)
			rec.line("here", "hello cwd=/ ")
			rec.line("here", "tick 2")
			rec.send("here", "err gone fishing")
			rec.send("here", "exit 4")
			st, seen := rec.reached("here", Lost, seen)
			if !strings.Contains(st.Cause, "exit 4: gone fishing") {
				t.Errorf("cause %q", st.Cause)
			}
			rec.reached("here", Live, seen)
			rec.until("second hello", func() bool {
				n := 0
				for _, l := range rec.lines["here"] {
					if strings.HasPrefix(l, "hello ") {
						n++
					}
				}
				return n == 2
			})
			rec.mu.Lock()
			var pid int
			for _, l := range rec.lines["here"] {
				if _, after, ok := strings.Cut(l, "pid="); ok {
					pid, _ = strconv.Atoi(after)
				}
			}
			rec.mu.Unlock()
			p.Close()
			limit := time.Now().Add(patience)
			for syscall.Kill(pid, 0) == nil && time.Now().Before(limit) {
				time.Sleep(10 * time.Millisecond)
			}
			if syscall.Kill(pid, 0) == nil {
				t.Error("the local collector stayed")
			}
		})
	}
}

func TestScriptsAreSafeForAllShells(t *testing.T) {
	b := &bootstrap{folders: DefaultFolders(), shared: DefaultShared}
	f := payload.FromBytes("x", []byte("x"))
	for _, m := range []string{"amd64", "arm64"} {
		b.bundles = append(b.bundles, &payload.Bundle{Platform: payload.Platform{OS: "linux", Arch: m}, Collector: f, Reader: f, Args: "collect"})
	}
	for _, line := range []string{b.start(newNonce(), true, []int{0, 1}), b.upload(newNonce(), 1, "c", f, "collect", true, true)} {
		inner := strings.TrimSuffix(strings.TrimPrefix(line, "exec /bin/sh -c '"), "'")
		if inner == line || strings.ContainsAny(inner, "'!\n\\") {
			t.Errorf("unfit for a login shell: %s", line)
		}
		if len(line) > 4000 {
			t.Errorf("%d bytes", len(line))
		}
		t.Logf("%d bytes", len(line))
	}
}
