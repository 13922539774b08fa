package collectors

import (
	"encoding/binary"
	"fmt"
	"testing"
)

func TestParseListeners(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the table below is of a little-endian machine")
	}
	table := `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:6D7C 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0
   1: 00000000:6D7C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 100 0 0 10 0
   2: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0000000000000000 100 0 0 10 0
   3: 0100007F:6D7C 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4714 1 0000000000000000 20 4 30 10 -1
   4: 0100:6D7C 00000000:0000 0A 0 0 0 1000 0 4715 1
   5: ZZ00007F:6D7C 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4716 1
   6: 00000000000000000000000001000000:6D7C 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4717 1
   7: 00000000000000000000000000000000:6D7C 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 4718 1
   8: 0100007F:6D7C 00000000:0000 0A`
	got := ""
	for _, l := range parseListeners([]byte(table), 28028) {
		got += fmt.Sprintf("%v:%d of %d\n", l.address, l.port, l.uid)
	}
	want := `[127 0 0 1]:28028 of 1000
[127 0 0 1]:28028 of 0
[0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1]:28028 of 1000
[0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1]:28028 of 1001
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestRASPort(t *testing.T) {
	for address, want := range map[string]uint16{"": 28028, "localhost:4000": 4000, "[::1]:4001": 4001, "0.0.0.0:65535": 65535,
		"localhost": 0, "localhost:": 0, "localhost:0": 0, "localhost:65536": 0, "4000": 0, "h:-1": 0} {
		got, err := rasPortOf(address)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v", address, got, err)
		}
	}
}

func FuzzListeners(f *testing.F) {
	f.Add([]byte("   0: 0100007F:6D7C 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, l := range parseListeners(b, 28028) {
			if len(l.address) != 4 && len(l.address) != 16 {
				t.Fatalf("an address of %d bytes", len(l.address))
			}
		}
	})
}
