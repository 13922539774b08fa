package export

import (
	"math"
	"strconv"
	"time"

	"foretop/fleet"
	"foretop/telemetry/facts"
)

// number is a reading as JSON: null where there is none, else with three decimals at most.
type number fleet.Reading

func (n number) MarshalJSON() ([]byte, error) {
	v := float64(n)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	if math.Abs(v) < 1e12 {
		v = math.Round(v*1000) / 1000
	}
	if v == 0 {
		v = 0 // no minus zero
	}
	return strconv.AppendFloat(nil, v, 'f', -1, 64), nil
}

func known(v float64, ok bool) number {
	if !ok {
		return number(fleet.None())
	}
	return number(v)
}

// yesNo is a reading of 0 or 1 as true, false or null.
type yesNo fleet.Reading

func (f yesNo) MarshalJSON() ([]byte, error) {
	if !fleet.Reading(f).Known() {
		return []byte("null"), nil
	}
	return strconv.AppendBool(nil, f != 0), nil
}

// stamp is a moment, RFC 3339 in UTC with milliseconds; null for none.
type stamp time.Time

func (s stamp) MarshalJSON() ([]byte, error) {
	t := time.Time(s).UTC()
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return []byte("null"), nil
	}
	return t.AppendFormat(nil, `"2006-01-02T15:04:05.000Z07:00"`), nil
}

// index is a number that names something, null for -1.
type index int

func (i index) MarshalJSON() ([]byte, error) {
	if i < 0 {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(i), 10), nil
}

// word is text that is null when there is none.
type word string

func (w word) MarshalJSON() ([]byte, error) {
	if w == "" {
		return []byte("null"), nil
	}
	return encode(string(w))
}

// listOf converts a list; it is never nil, so that JSON has [] for none.
func listOf[A, B any](from []A, convert func(*A) B) []B {
	out := make([]B, len(from))
	for i := range from {
		out[i] = convert(&from[i])
	}
	return out
}

func orEmpty[A any](list []A) []A {
	if list == nil {
		return []A{}
	}
	return list
}

func gpuStatus(s int) string {
	words := [...]string{"ok", "lost", "failing", "unanswered"}
	if s >= 0 && s < len(words) {
		return words[s]
	}
	return "unknown"
}

// throttleReasons are NVML's clock event reasons by bit (nvml.h, nvmlClocksEventReasons).
var throttleReasons = [...]string{"gpu_idle", "application_clocks", "sw_power_cap", "hw_slowdown", "sync_boost", "sw_thermal", "hw_thermal", "hw_power_brake", "display_clock", "board_limit", "reliability"}

func throttleWords(bits int64) []string {
	words := []string{}
	for i, w := range throttleReasons {
		if bits > 0 && bits&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return words
}

// portState and portPhysState are the kernel's words for sysfs's numbers (/sys/class/infiniband/*/ports/*/state, phys_state).
func portState(s int) word {
	return pick(s, "nop", "down", "init", "armed", "active", "active_defer")
}

func portPhysState(s int) word {
	return pick(s, "no_state_change", "sleep", "polling", "disabled", "training", "link_up", "link_error_recovery", "phy_test")
}

func sourceState(s facts.SourceState) word {
	return pick(int(s), "unknown", "ok", "unsupported", "denied", "failing", "stuck")
}

func environState(s facts.EnvState) word {
	return pick(int(s), "unknown", "read", "denied", "clobbered")
}

func jobState(s fleet.JobState) word {
	return pick(int(s), "running", "starting", "partial", "idle", "suspect", "unchecked", "ended", "pending", "unseen")
}

func pick(i int, words ...string) word {
	if i < 0 || i >= len(words) {
		return ""
	}
	return word(words[i])
}
