package slurm

import (
	"slices"
	"strings"

	"foretop/schedulers"
)

// maxFlags bounds the parts of one state.
const maxFlags = 24

// stateFlags are the parts of a state in capitals, without the marks that older versions put behind it ("DOWN*").
func stateFlags(words []string) []string {
	var out []string
	for _, w := range words {
		for part := range strings.SplitSeq(w, "+") {
			part = strings.ToUpper(strings.TrimRight(strings.TrimSpace(part), "*~#!%$@^-"))
			if part != "" && len(out) < maxFlags && !slices.Contains(out, part) {
				out = append(out, clean(part))
			}
		}
	}
	return out
}

// condition says what a node's state means, by its worst part (man sinfo, "node state codes").
func condition(flags []string) schedulers.Condition {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(flags, w) })
	}
	busy := has("ALLOCATED", "MIXED", "COMPLETING")
	switch {
	case has("DOWN", "ERROR"):
		return schedulers.Down
	case has("NOT_RESPONDING", "NO_RESPOND"):
		return schedulers.Unreachable
	case has("DRAIN", "DRAINED", "DRAINING", "FAIL", "POWER_DRAIN", "INVALID_REG", "INVAL"):
		if busy || has("DRAINING") {
			return schedulers.Draining
		}
		return schedulers.Drained
	case has("POWERED_DOWN", "POWERING_UP", "POWERING_DOWN", "POWER_UP", "POWER_DOWN", "REBOOT_ISSUED"):
		return schedulers.Starting
	case has("MAINTENANCE", "MAINT", "RESERVED", "BLOCKED"):
		return schedulers.Reserved
	case busy || has("IDLE"):
		return schedulers.Usable
	}
	return schedulers.Unknown
}

var phases = map[string]schedulers.Phase{
	"PENDING": schedulers.Pending, "RUNNING": schedulers.Running, "SUSPENDED": schedulers.Suspended,
	"COMPLETED": schedulers.Ended, "CANCELLED": schedulers.Ended, "FAILED": schedulers.Ended, "TIMEOUT": schedulers.Ended, "NODE_FAIL": schedulers.Ended,
	"PREEMPTED": schedulers.Ended, "BOOT_FAIL": schedulers.Ended, "DEADLINE": schedulers.Ended, "OUT_OF_MEMORY": schedulers.Ended, "REVOKED": schedulers.Ended,
	// Flags that stand alone in text, for their base.
	"CONFIGURING": schedulers.Running, "RESIZING": schedulers.Running, "SIGNALING": schedulers.Running, "POWER_UP_NODE": schedulers.Running,
	"REQUEUED": schedulers.Completing, "REQUEUE_FED": schedulers.Pending, "REQUEUE_HOLD": schedulers.Pending, "SPECIAL_EXIT": schedulers.Pending, "RESV_DEL_HOLD": schedulers.Pending,
}

// phase says where a job is in its life: by the base of its state, but for the flags that change what it holds.
func phase(flags []string) schedulers.Phase {
	switch {
	case slices.Contains(flags, "COMPLETING") || slices.Contains(flags, "STAGE_OUT"):
		return schedulers.Completing
	case slices.Contains(flags, "STOPPED"):
		return schedulers.Suspended
	case slices.Contains(flags, "REVOKED"):
		return schedulers.Ended
	}
	for _, f := range flags {
		if p, ok := phases[f]; ok {
			return p
		}
	}
	return schedulers.PhaseUnknown
}
