package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
	"foretop/sshpool"
)

// TestPublishPanicIsHandedOver: an internal error in a rule or a screen ends in words, not in a terminal left raw.
func TestPublishPanicIsHandedOver(t *testing.T) {
	s := openStation(fleet.Options{}, sshpool.Config{}, nil)
	defer s.Close()
	failed := make(chan error, 1)
	s.publish(context.Background(), time.Millisecond, func(*fleet.Snapshot) { panic("a rule broke") }, func(err error) { failed <- err })
	select {
	case err := <-failed:
		if !strings.Contains(err.Error(), "a rule broke") || !strings.Contains(err.Error(), "station_test.go") {
			t.Fatalf("error without the words or the place: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
	}
}
