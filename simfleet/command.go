package simfleet

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// command answers one of the few commands that a simulated node has. There is no shell behind it: a line with anything else in it is refused.
func (h *host) command(out, errs io.Writer, line string) int {
	n := h.node
	at := h.fleet.At(time.Now())
	switch line = withoutShell(line); line {
	case "true":
	case "hostname":
		fmt.Fprintln(out, n.name)
	case "uptime":
		boot, _ := n.booted(at)
		up := at - boot
		fmt.Fprintf(out, " %s up %d days, %2d:%02d,  0 users\n", n.wall(at).Format("15:04:05"), up/(24*hour), up%(24*hour)/hour, up%hour/minute)
	case "nvidia-smi -L":
		inv := n.Inventory()
		if n.machine.source != sourceNVIDIA {
			fmt.Fprintln(errs, "nvidia-smi: not found")
			return 127
		}
		for i, g := range inv.Gpus {
			fmt.Fprintf(out, "GPU %d: %s (UUID: %s)\n", i, g.Name, g.Uuid)
		}
	default:
		fmt.Fprintln(errs, "this node is simulated: it runs no commands but hostname, uptime, nvidia-smi -L and true")
		return 127
	}
	return 0
}

// withoutShell takes "sh -c" and its quotes off a line.
func withoutShell(line string) string {
	if rest, ok := strings.CutPrefix(line, "sh -c "); ok {
		line = strings.Trim(rest, "'")
	}
	return strings.TrimSpace(line)
}
