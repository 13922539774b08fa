package sshpool

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"foretop/sshpool/payload"
)

// Another user of the node attacks each start: in a sticky folder as /tmp, in one that is open to all without the sticky bit, and where the shared folder is. Whatever it plants
// or moves, what runs is our collector, from a folder that is the user's alone, and no file of the user's is written through a link.
func TestAnotherUserRaces(t *testing.T) {
	d := startSSHD(t, "")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const victim, other = 61001, 61002
	for _, dir := range []struct {
		name string
		mode os.FileMode
	}{{"open", 0o777}, {"safe", 0o777 | os.ModeSticky}, {"loot", 0o777}} {
		must(os.Mkdir(filepath.Join(d.root, dir.name), 0o777))
		must(os.Chmod(filepath.Join(d.root, dir.name), dir.mode))
	}
	canary := filepath.Join(d.root, "ftsh", "canary")
	must(os.WriteFile(canary, []byte("untouched"), 0o644))
	must(os.Chown(canary, victim, victim))
	attacker := filepath.Join(d.root, "attacker")
	build := exec.Command("go", "build", "-o", attacker, "./testdata/attacker")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	program := fakeBytes(t)
	sum := fmt.Sprintf("%x", sha256.Sum256(program))
	sticky, open, shared, safe := d.root+"/tmp/foretop-61001", d.root+"/open/foretop-61001", d.root+"/open/shared-61001", d.root+"/safe/foretop-61001"
	cmd := exec.Command(attacker, "61001", "c-"+sum, d.root+"/loot", canary, sticky, open, shared)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: other, Gid: other}}
	stop, err := cmd.StdinPipe()
	must(err)
	out, err := cmd.StdoutPipe()
	must(err)

	p, rec := newTestPool(t, Config{ConfigFile: d.config, Payload: fakeSet(t), Timing: quick(), Shared: d.root + "/open/shared-$u",
		Folders: []string{d.root + "/open/foretop-$u", d.root + "/tmp/foretop-$u", d.root + "/safe/foretop-$u"}})
	name := "ftsh@127.0.0.1"
	p.Add(Target{Name: name})
	_, at := rec.reached(name, Live, 0) // in the sticky folder, which is ours before the attack begins
	at--
	must(cmd.Start())
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	from := map[string]int{}
	for round := range 12 {
		_, at = rec.reached(name, Live, at)
		rec.until("another hello", func() bool { return len(hellos(rec.lines[name])) == round+1 })
		rec.mu.Lock()
		hello := hellos(rec.lines[name])[round]
		rec.mu.Unlock()
		_, after, _ := strings.Cut(hello, "pid=")
		exe, err := os.Readlink("/proc/" + after + "/exe")
		must(err)
		b, err := os.ReadFile("/proc/" + after + "/exe")
		must(err)
		if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != sum {
			t.Fatalf("round %d: %s runs, which is not the collector", round, exe)
		}
		folder := filepath.Dir(exe)
		from[strings.TrimPrefix(folder, d.root)]++
		if folder != sticky && folder != safe {
			t.Errorf("round %d: it runs from %s", round, exe)
		}
		info, err := os.Lstat(folder)
		must(err)
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != victim || info.Mode() != os.ModeDir|0o700 {
			t.Errorf("round %d: %s is of %d, mode %v", round, folder, owner, info.Mode())
		}
		switch { // what lies there goes, and the attacker may be first to put something in its place
		case round < 4:
		case round%2 == 0:
			_ = os.RemoveAll(sticky) // the attacker may be writing into what it put there meanwhile
			must(os.RemoveAll(safe))
		default:
			_ = os.RemoveAll(sticky)
		}
		rec.send(name, "exit 1")
		_, at = rec.reached(name, Lost, at)
	}
	p.Close()
	must(stop.Close())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(err)
	var moves int
	if _, err := fmt.Sscan(line, &moves); err != nil || moves < 100 {
		t.Errorf("the attacker made %d moves: %v", moves, err)
	}
	if from["/tmp/foretop-61001"] < 4 || from["/safe/foretop-61001"] == 0 {
		t.Errorf("the collector ran from %v: not as this test means it", from)
	}
	t.Logf("the attacker made %d moves; the collector ran from %v", moves, from)
	loot, err := filepath.Glob(d.root + "/loot/ran-*")
	must(err)
	if len(loot) > 0 {
		t.Errorf("the attacker's program was run: %v", loot)
	}
	if b, err := os.ReadFile(canary); err != nil || string(b) != "untouched" {
		t.Errorf("the user's file was written through a link: %q, %v", b, err)
	}
}

func hellos(lines []string) (out []string) {
	for _, l := range lines {
		if strings.HasPrefix(l, "hello ") {
			out = append(out, l)
		}
	}
	return out
}

// A file that an upload makes is a new one (O_EXCL), under each shell that may be /bin/sh: a link that lies under its name is not written through.
func TestUploadWritesThroughNoLink(t *testing.T) {
	tried := 0
	for _, sh := range []string{"/bin/sh", "/bin/dash", "/bin/bash", "/bin/busybox sh", "/bin/mksh", "/bin/ksh"} {
		if _, err := os.Stat(strings.Fields(sh)[0]); err != nil {
			continue
		}
		tried++
		for _, planted := range []string{"", "file", "nowhere"} {
			t.Run(filepath.Base(sh)+" "+planted, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "folder")
				canary := filepath.Join(t.TempDir(), "canary")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if planted != "nowhere" {
					if err := os.WriteFile(canary, []byte("untouched"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				f := payload.FromBytes("x", []byte("#!/bin/sh\nexit 0\n"))
				nonce := newNonce()
				b := &bootstrap{folders: []string{dir}, shared: DefaultShared}
				script := strings.TrimSuffix(strings.TrimPrefix(b.upload(nonce, 0, "c", f, "", false, true), "exec /bin/sh -c '"), "'")
				// The script keeps this shell's process id, so its temporary name is known before it begins.
				cmd := exec.Command("/bin/sh", "-c", `echo $$;read x;exec `+sh+` -c "$0"`, script)
				in, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewReader(out)
				pid, err := lines.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if planted != "" {
					if err := os.Symlink(canary, filepath.Join(dir, ".up."+strings.TrimSpace(pid)+"."+nonce)); err != nil {
						t.Fatal(err)
					}
				}
				_, _ = io.WriteString(in, "\n") // read takes this byte and no more
				_ = write(in, f, false)
				in.Close()
				said, _ := io.ReadAll(lines)
				_ = cmd.Wait()
				if planted == "" {
					if !strings.Contains(string(said), "FORETOP-DONE "+nonce) {
						t.Errorf("said %q", said)
					}
					return
				}
				if !strings.Contains(string(said), "FORETOP-FAIL "+nonce) {
					t.Errorf("said %q", said)
				}
				b2, err := os.ReadFile(canary)
				if planted == "file" && string(b2) != "untouched" || planted == "nowhere" && err == nil {
					t.Errorf("written through the link: %q", b2)
				}
			})
		}
	}
	if tried < 2 {
		t.Errorf("only %d shells here", tried)
	}
}

// Who owns and may write the folders above decides whether a folder can be replaced.
func TestSafeFolders(t *testing.T) {
	needs(t, os.Getuid() == 0, "other users' folders need root")
	root, err := os.MkdirTemp("", "ftsafe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	for _, c := range []struct {
		name  string
		mode  os.FileMode
		owner int
		safe  bool
	}{
		{"private", 0o700, 0, true}, {"usual", 0o755, 0, true}, {"sticky", 0o777 | os.ModeSticky, 0, true}, {"group-sticky", 0o770 | os.ModeSticky, 0, true},
		{"open", 0o777, 0, false}, {"group", 0o775, 0, false}, {"others", 0o757, 0, false},
		{"of-another", 0o755, 61002, false}, {"sticky-of-another", 0o777 | os.ModeSticky, 61002, false}, {"of-nobody", 0o777 | os.ModeSticky, 65534, true},
	} {
		for _, deep := range []string{"", "/below"} {
			parent := filepath.Join(root, c.name+strings.ReplaceAll(deep, "/", "-"))
			dir := parent + deep + "/foretop"
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(parent, c.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(parent, c.owner, c.owner); err != nil {
				t.Fatal(err)
			}
			err := exec.Command("/bin/sh", "-c", common+`own "$0"`, dir).Run()
			if (err == nil) != c.safe {
				t.Errorf("%s: %v, want safe %v", dir, err, c.safe)
			}
		}
	}
}
