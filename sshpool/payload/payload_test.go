package payload

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func gz(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func hexSum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func read(t *testing.T, f *File) []byte {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readGzip(t *testing.T, f *File) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := f.WriteGzip(&out); err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFolder(t *testing.T) {
	amd, arm, nvml := []byte("amd64 program"), []byte("arm64 program"), []byte("reader")
	dir := fstest.MapFS{
		"foretop-collector-linux-amd64.gz": {Data: gz(t, amd)},
		"foretop-nvml-linux-amd64.gz":      {Data: gz(t, nvml)},
		"foretop-collector-linux-arm64.gz": {Data: gz(t, arm)},
		"placeholder.gz":                   {Data: gz(t, []byte("x"))},
	}
	bundles, err := fromFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	set := Of(bundles...)
	b, err := set.For(Platform{"linux", "amd64"})
	if err != nil || b == nil {
		t.Fatalf("amd64: %v %v", b, err)
	}
	if b.Collector.SHA256 != hexSum(amd) || b.Collector.Size != int64(len(amd)) || b.Reader.SHA256 != hexSum(nvml) {
		t.Errorf("sums: %+v %+v", b.Collector, b.Reader)
	}
	for _, f := range []*File{b.Collector, b.Reader} {
		if got := read(t, f); hexSum(got) != f.SHA256 {
			t.Errorf("%s opens as %q", f.Name, got)
		}
		if got := readGzip(t, f); hexSum(got) != f.SHA256 {
			t.Errorf("%s packs as %q", f.Name, got)
		}
	}
	b, err = set.For(Platform{"linux", "arm64"})
	if err != nil || b == nil || b.Reader != nil || b.Collector.SHA256 != hexSum(arm) {
		t.Errorf("arm64: %+v %v", b, err)
	}
	if b, err := set.For(Platform{"linux", "riscv64"}); b != nil || err != nil {
		t.Errorf("riscv64: %v %v", b, err)
	}
}

func TestFolderBroken(t *testing.T) {
	dir := fstest.MapFS{"foretop-collector-linux-amd64.gz": {Data: gz(t, bytes.Repeat([]byte("x"), 5000))[:20]}}
	if _, err := fromFolder(dir); err == nil {
		t.Error("a cut file passed")
	}
}

func TestRunning(t *testing.T) {
	b, err := Running("collect")
	if err != nil {
		t.Fatal(err)
	}
	if b.Platform != Here() || b.Args != "collect" || b.Collector.Path() == "" || b.Reader != nil {
		t.Errorf("bundle: %+v", b)
	}
}

func TestFromPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(path, []byte("program"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := FromPath("p", path)
	if err != nil {
		t.Fatal(err)
	}
	if f.SHA256 != hexSum([]byte("program")) || f.Size != 7 {
		t.Errorf("file: %+v", f)
	}
	if got := readGzip(t, f); string(got) != "program" {
		t.Errorf("packed: %q", got)
	}
	if _, err := FromPath("p", path+"x"); err == nil {
		t.Error("a missing file passed")
	}
}

func TestUname(t *testing.T) {
	for _, c := range []struct {
		system, machine string
		want            Platform
	}{
		{"Linux", "x86_64", Platform{"linux", "amd64"}},
		{"Linux", "aarch64", Platform{"linux", "arm64"}},
		{"Darwin", "arm64", Platform{"darwin", "arm64"}},
		{"Linux", "riscv64", Platform{"linux", "riscv64"}},
	} {
		if diff := cmp.Diff(c.want, FromUname(c.system, c.machine)); diff != "" {
			t.Error(diff)
		}
		system, machines := c.want.Uname()
		found := false
		for _, m := range machines {
			found = found || FromUname(system, m) == c.want
		}
		if !found || system != c.system {
			t.Errorf("%v: %s %v", c.want, system, machines)
		}
	}
}

// pieces counts the writes of more than nothing.
type pieces struct{ n, bytes int }

func (p *pieces) Write(b []byte) (int, error) {
	p.n, p.bytes = p.n+1, p.bytes+len(b)
	return len(b), nil
}

// Each write over SSH is a packet: of 240 bytes, as gzip makes them, a node's sshd takes a megabyte a second.
func TestGzipInLargePieces(t *testing.T) {
	program := make([]byte, 4<<20)
	for i := range program {
		program[i] = byte(i * i >> 7)
	}
	var p pieces
	if err := FromBytes("x", program).WriteGzip(&p); err != nil {
		t.Fatal(err)
	}
	if most := p.bytes/(32<<10) + 1; p.n > most {
		t.Errorf("%d bytes in %d writes, want at most %d", p.bytes, p.n, most)
	}
}
