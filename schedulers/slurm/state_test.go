package slurm

import (
	"testing"

	"foretop/schedulers"
)

func TestConditions(t *testing.T) {
	for state, want := range map[string]schedulers.Condition{
		"IDLE":                       schedulers.Usable,
		"idle":                       schedulers.Usable,
		"MIXED":                      schedulers.Usable,
		"ALLOCATED":                  schedulers.Usable,
		"IDLE+PLANNED":               schedulers.Usable,
		"MIXED+REBOOT_REQUESTED":     schedulers.Usable,
		"IDLE+COMPLETING":            schedulers.Usable,
		"IDLE+CLOUD":                 schedulers.Usable,
		"IDLE+MAINTENANCE":           schedulers.Reserved,
		"ALLOCATED+RESERVED":         schedulers.Reserved,
		"IDLE+BLOCKED":               schedulers.Reserved,
		"IDLE+CLOUD+POWERED_DOWN":    schedulers.Starting,
		"ALLOCATED+POWERING_UP":      schedulers.Starting,
		"IDLE+REBOOT_ISSUED":         schedulers.Starting,
		"MIXED+DRAIN":                schedulers.Draining,
		"IDLE+COMPLETING+DRAIN":      schedulers.Draining,
		"ALLOCATED+FAIL":             schedulers.Draining,
		"DRAINING":                   schedulers.Draining,
		"IDLE+DRAIN":                 schedulers.Drained,
		"IDLE+DRAIN+MAINTENANCE":     schedulers.Drained,
		"IDLE+DRAIN+INVALID_REG":     schedulers.Drained,
		"IDLE+NOT_RESPONDING":        schedulers.Unreachable,
		"IDLE+DRAIN+NOT_RESPONDING":  schedulers.Unreachable,
		"DOWN":                       schedulers.Down,
		"DOWN*":                      schedulers.Down,
		"DOWN+DRAIN+NOT_RESPONDING":  schedulers.Down,
		"ERROR":                      schedulers.Down,
		"UNKNOWN":                    schedulers.Unknown,
		"FUTURE":                     schedulers.Unknown,
		"":                           schedulers.Unknown,
		"SOMETHING_OF_NEXT_YEAR":     schedulers.Unknown,
		"MIXED+SOMETHING_OF_TO_COME": schedulers.Usable,
	} {
		if got := condition(stateFlags([]string{state})); got != want {
			t.Errorf("%s: %s, want %s", state, got, want)
		}
	}
}

func TestPhases(t *testing.T) {
	for state, want := range map[string]schedulers.Phase{
		"PENDING":              schedulers.Pending,
		"PENDING+REQUEUE_HOLD": schedulers.Pending,
		"PENDING+COMPLETING":   schedulers.Completing,
		"RUNNING":              schedulers.Running,
		"RUNNING+CONFIGURING":  schedulers.Running,
		"CONFIGURING":          schedulers.Running,
		"SUSPENDED":            schedulers.Suspended,
		"RUNNING+STOPPED":      schedulers.Suspended,
		"COMPLETED+COMPLETING": schedulers.Completing,
		"COMPLETING":           schedulers.Completing,
		"REQUEUED":             schedulers.Completing,
		"COMPLETED":            schedulers.Ended,
		"CANCELLED":            schedulers.Ended,
		"OUT_OF_MEMORY":        schedulers.Ended,
		"NODE_FAIL":            schedulers.Ended,
		"PENDING+REVOKED":      schedulers.Ended,
		"":                     schedulers.PhaseUnknown,
		"NEXT_YEARS":           schedulers.PhaseUnknown,
	} {
		if got := phase(stateFlags([]string{state})); got != want {
			t.Errorf("%s: %s, want %s", state, got, want)
		}
	}
}
