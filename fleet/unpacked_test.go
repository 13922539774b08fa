package fleet

import (
	"errors"
	"fmt"
	"testing"
)

// What was read once is not read again, what could not be read is, and what is kept is bounded.
func TestUnpacked(t *testing.T) {
	var u unpacked[string]
	reads := 0
	read := func(b []byte) (*string, error) {
		reads++
		if len(b) == 0 {
			return nil, errors.New("nothing")
		}
		s := string(b)
		return &s, nil
	}
	for range 3 {
		if s, err := u.of([]byte("one"), read); err != nil || *s != "one" {
			t.Fatal(s, err)
		}
	}
	if reads != 1 {
		t.Errorf("read %d times", reads)
	}
	for range 2 {
		if _, err := u.of(nil, read); err == nil {
			t.Error("what cannot be read is given")
		}
	}
	if reads != 3 {
		t.Errorf("what could not be read was read %d times", reads-1)
	}
	big := make([]byte, maxUnpacked/4)
	for i := range 50 {
		copy(big, fmt.Sprint(i, "."))
		if _, err := u.of(big, read); err != nil {
			t.Fatal(err)
		}
		if u.bytes > maxUnpacked || len(u.known) > 6 {
			t.Fatalf("%d bytes of %d frames are kept", u.bytes, len(u.known))
		}
	}
}
