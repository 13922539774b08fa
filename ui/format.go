package ui

import (
	"math"
	"strconv"
	"strings"
	"time"

	"foretop/fleet"
)

// absent is what stands where a reading is not there. It is never zero.
const absent = "–"

// formatPct is a share as "21%".
func formatPct(r fleet.Reading) string { return formatUnit(r, "%") }

// formatUnit is a reading rounded to a whole number, with its unit.
func formatUnit(r fleet.Reading, unit string) string {
	if !r.Known() {
		return absent
	}
	return formatWhole(float64(r)) + unit
}

func formatWhole(v float64) string {
	switch {
	case math.IsInf(v, 0) || math.Abs(v) > 1e15:
		return "?"
	default:
		return strconv.FormatInt(int64(math.Round(v)), 10)
	}
}

// format3 is a number of three digits at most: "0.1", "9.9", "61", "412".
func format3(v float64) string {
	if v >= 0.05 && v < 9.95 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return formatWhole(v)
}

// formatRate is bytes a second, in the unit that leaves three digits.
func formatRate(r fleet.Reading) string {
	if !r.Known() {
		return absent
	}
	v, unit := scale(float64(r), 1000, "B/s", "kB/s", "MB/s", "GB/s", "TB/s")
	return format3(v) + " " + unit
}

// formatGBps is bytes a second in GB/s, without the unit.
func formatGBps(r fleet.Reading) string {
	if !r.Known() {
		return absent
	}
	return format3(float64(r) / 1e9)
}

// formatBytes is an amount of memory in binary units: "71G".
func formatBytes(r fleet.Reading) string {
	if !r.Known() {
		return absent
	}
	v, unit := scale(float64(r), 1024, "B", "K", "M", "G", "T", "P")
	return format3(v) + unit
}

// formatUsed is "71/80G", both in the whole's unit; GiB at least, so that columns of them read alike.
func formatUsed(used, whole fleet.Reading) string {
	if !used.Known() && !whole.Known() {
		return absent
	}
	div, unit := float64(1<<30), "G"
	if whole.Or(0) >= 10*(1<<40) {
		div, unit = 1<<40, "T"
	}
	one := func(r fleet.Reading) string {
		if !r.Known() {
			return absent
		}
		return formatWhole(float64(r) / div)
	}
	return one(used) + "/" + one(whole) + unit
}

// formatWatts is a power: "694W", "4.9kW".
func formatWatts(r fleet.Reading) string {
	switch {
	case !r.Known():
		return absent
	case r < 1000:
		return formatWhole(float64(r)) + "W"
	}
	return format3(float64(r)/1000) + "kW"
}

func scale(v, base float64, units ...string) (float64, string) {
	i := 0
	for i < len(units)-1 && math.Abs(v) >= 999.5 {
		v /= base
		i++
	}
	return v, units[i]
}

// formatAge is how long something lasted, in one unit: "0.4s", "12s", "3m", "5h", "41d"; two where days and hours matter ("1d20h").
func formatAge(d time.Duration) string {
	switch {
	case d < 0:
		return absent
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Truncate(100*time.Millisecond).Seconds(), 'f', 1, 64) + "s"
	case d < 2*time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return formatLong(d)
}

// formatLong is a time of hours and days: "5h50m", "1d20h", "41d".
func formatLong(d time.Duration) string {
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case d < 0:
		return "0m"
	case days >= 10:
		return strconv.Itoa(days) + "d"
	case days > 0:
		return strconv.Itoa(days) + "d" + strconv.Itoa(hours) + "h"
	case hours > 0:
		return strconv.Itoa(hours) + "h" + strconv.Itoa(minutes) + "m"
	}
	return strconv.Itoa(minutes) + "m"
}

// count is "1 node", "2 nodes".
func count(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "s"):
		return strconv.Itoa(n) + " " + one + "es"
	}
	return strconv.Itoa(n) + " " + one + "s"
}

// ranges folds numbers in rising order: "8-15,31".
func ranges(numbers []int) string {
	var b strings.Builder
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(numbers[i]))
		if j > i {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(numbers[j]))
		}
		i = j + 1
	}
	return b.String()
}
