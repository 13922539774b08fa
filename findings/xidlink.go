package findings

import (
	_ "embed"
	"encoding/csv"
	"strconv"
	"strings"
	"sync"

	"foretop/fleet"
)

// linkCSV is how Xids 144 to 150 are to be taken, which are many errors each: NVIDIA's Xid catalogue, sheet "XID 144-150 Decode" (with the Xid
// catalogue). A row is for a unit, under its names before and since driver R575; for a subcode, bits 20 to 25 of the intrinfo; and for an error status:
// a bit of 144 to 148, a value of 149. Promoted: a further bit of the intrinfo says that the driver made it fatal.
//
//go:embed nvlink5.csv
var linkCSV string

// linkRule is one row.
type linkRule struct {
	xid      int
	units    []string
	subcode  int   // -1: any
	status   int64 // -1: any
	fatal    bool
	cause    fleet.Cause
	action   string
	then     string // what to look into afterwards
	promoted bool
}

var linkTable = sync.OnceValue(func() []linkRule {
	table, err := parseLinks(linkCSV)
	if err != nil {
		panic("embedded NVLink table: " + err.Error()) // a test reads it
	}
	return table
})

func parseLinks(text string) ([]linkRule, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	var table []linkRule
	for _, r := range rows[1:] {
		l := linkRule{units: strings.Fields(r[1]), subcode: -1, status: -1, fatal: r[4] == "fatal", action: r[6], then: r[7], promoted: r[8] == "yes"}
		var ok bool
		if l.xid, err = strconv.Atoi(r[0]); err != nil {
			return nil, err
		}
		if l.cause, ok = causeNamed(r[5]); !ok || !l.fatal && r[4] != "nonfatal" {
			return nil, strconv.ErrSyntax
		}
		if r[2] != "any" {
			if l.subcode, err = strconv.Atoi(r[2]); err != nil {
				return nil, err
			}
		}
		if r[3] != "any" {
			if l.status, err = strconv.ParseInt(r[3], 0, 64); err != nil {
				return nil, err
			}
		}
		table = append(table, l)
	}
	return table, nil
}

// readLink decodes an error of NVLink 5:
//
//	NETIR_LINK_EVT  Fatal   XC0 i0 Link 08 (0x004505c6 0x00000000 …)
//
// unit, severity, cross-containment, injected, link, then intrinfo, error status and debug data. What the table does not have is taken by the
// severity's word.
func readLink(what string, c *fleet.KernelClass) {
	head, numbers, _ := strings.Cut(what, " (")
	words := strings.Fields(head)
	if len(words) < 2 {
		return
	}
	link := ""
	fatalWord, nonfatalWord := false, false
	for i, w := range words {
		switch {
		case strings.EqualFold(w, "fatal"):
			fatalWord = true
		case strings.EqualFold(w, "nonfatal"), strings.EqualFold(w, "non-fatal"):
			nonfatalWord = true
		case w == "Link" && i+1 < len(words):
			link = strings.TrimLeft(words[i+1], "0")
			if link == "" {
				link = "0"
			}
		}
	}
	if nonfatalWord {
		c.Severity = fleet.Warning
	}
	if !isName(words[0]) || !fatalWord && !nonfatalWord && numbers == "" {
		return
	}
	c.Unit = short(words[0], 32)
	fields := strings.Fields(strings.TrimRight(numbers, ".)"))
	var parts []string
	if link != "" {
		parts = append(parts, "link "+short(link, 4))
	}
	if len(fields) >= 2 {
		info, err1 := strconv.ParseUint(fields[0], 0, 32)
		status, err2 := strconv.ParseUint(fields[1], 0, 32)
		if err1 == nil && err2 == nil {
			c.Subcode = int(info >> 20 & 0x3f)
			parts = append(parts, "intrinfo "+short(fields[0], 10), "subcode "+strconv.Itoa(c.Subcode), "status "+short(fields[1], 10))
			resolve(c, uint32(info), int64(status), fatalWord)
		}
	}
	c.Detail = strings.Join(parts, ", ")
}

// resolve takes severity, cause and action from the table: of several bits of the status the worst.
func resolve(c *fleet.KernelClass, info uint32, status int64, fatalWord bool) {
	var best *linkRule
	worst := fleet.Fine
	for i := range linkTable() {
		l := &linkTable()[i]
		if l.xid != c.Xid || l.subcode >= 0 && l.subcode != c.Subcode || !l.unit(c.Unit) {
			continue
		}
		if l.status >= 0 && (c.Xid <= 148 && status&l.status == 0 || c.Xid > 148 && status != l.status) {
			continue
		}
		if s := l.severity(info); s > worst {
			best, worst = l, s
		}
	}
	if best == nil {
		return
	}
	c.Cause, c.Action = best.cause, best.action
	if best.promoted && worst == fleet.Critical {
		c.Action = "reset the GPU"
	}
	if best.then != "" {
		c.Action = strings.TrimPrefix(c.Action+"; ", "none; ") + best.then
	}
	if c.Severity = worst; fatalWord {
		c.Severity = fleet.Critical
	}
}

func (l *linkRule) unit(name string) bool {
	for _, u := range l.units {
		if u == name {
			return true
		}
	}
	return false
}

func (l *linkRule) severity(info uint32) fleet.Severity {
	switch {
	case l.fatal, l.promoted && madeFatal(info):
		return fleet.Critical
	case l.action == "none":
		return fleet.Notice
	}
	return fleet.Warning
}

// madeFatal tells a promoted error of RLW_RXPIPE: bit 10 of the intrinfo before R575, whose unit is in bits 0 to 9, bit 7 since, whose unit is in bits 0 to 6.
func madeFatal(info uint32) bool {
	const before, since = 0b0011000010, 0b0000110
	switch {
	case info&0x3ff == before:
		return info>>10&1 == 1
	case info&0x7f == since:
		return info>>7&1 == 1
	}
	return false
}
