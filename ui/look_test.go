package ui

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"foretop/fleet"
)

func TestLook(t *testing.T) {
	if os.Getenv("LOOK") == "" {
		t.Skip()
	}
	p := strings.Split(os.Getenv("LOOK"), ";") // fixture;w;h;keys
	var w, h int
	fmt.Sscan(p[1], &w)
	fmt.Sscan(p[2], &h)
	d := drive(map[string]func() *snapT{"hang": hang, "healthy": healthy, "connecting": connecting, "empty": empty, "lost": allLost}[p[0]](), w, h, Options{ASCII: os.Getenv("ASCII") != ""})
	if len(p) > 3 && p[3] != "" {
		d.keys(strings.Fields(p[3])...)
	}
	if os.Getenv("SGR") != "" {
		fmt.Println(d.View().Content)
	} else {
		fmt.Println(d.text())
	}
}

type snapT = fleet.Snapshot
