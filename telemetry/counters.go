package telemetry

// CounterClass says what a counter of an RDMA device tells.
type CounterClass uint8

const (
	CounterOther      CounterClass = iota // not in the table
	CounterTraffic                        // what went through
	CounterCongestion                     // the fabric, or the receiver, was not fast enough: slow, not broken
	CounterDamage                         // something was lost, corrupted or given up
	CounterInfo                           // neither: objects, commands, what the end of a job brings
	NumCounterClasses
)

func (c CounterClass) String() string {
	return [...]string{"other", "traffic", "congestion", "damage", "info"}[min(c, CounterInfo)]
}

// CounterWidth says how wide a counter is and what it does at its end.
type CounterWidth uint8

const (
	WidthUnknown CounterWidth = iota
	Stops4                    // IBTA's management counters stop at all ones, and say nothing from then on until they are reset
	Stops8
	Stops16
	Stops32
	Wraps32 // begins anew at 0
	Wide64
)

// CounterUnit says what a counter counts.
type CounterUnit uint8

const (
	UnitEvents CounterUnit = iota
	UnitPackets
	UnitOctets
	UnitFourOctets // octets divided by four
	UnitTicks      // of the port's own clock
	UnitRequests   // work requests, messages
	UnitObjects    // a level, not a count: queue pairs, memory regions that there are
)

// CounterDef is what a file of counters/ or hw_counters/ means.
type CounterDef struct {
	Class  CounterClass
	Width  CounterWidth
	Unit   CounterUnit
	Metric Metric // that it is told as; 0: none of its own
}

// Stops says whether the counter stops at its limit, and gives it.
func (d CounterDef) Stops() (limit int64, ok bool) {
	switch d.Width {
	case Stops4:
		return 1<<4 - 1, true
	case Stops8:
		return 1<<8 - 1, true
	case Stops16:
		return 1<<16 - 1, true
	case Stops32:
		return 1<<32 - 1, true
	}
	return 0, false
}

// Full says whether a value is the one at which the counter stopped. A greater one says that this driver's counter is wider than the standard's.
func (d CounterDef) Full(v int64) bool {
	limit, ok := d.Stops()
	return ok && v == limit
}

// counterFamily is whose names a file bears.
type counterFamily uint8

const (
	familyIBTA counterFamily = iota // the standard's, and of any driver
	familyMlx5
	familyEFA
	familyBnxt
	familyIrdma
	familyHNS
	familyIonic
)

// counterFamilies are the drivers of each, as the link device/driver names them.
var counterFamilies = [...]struct {
	driver string
	family counterFamily
}{
	{"mlx5_core", familyMlx5}, {"efa", familyEFA}, {"bnxt_en", familyBnxt}, {"bnxt_re", familyBnxt}, {"ice", familyIrdma}, {"irdma", familyIrdma}, {"i40e", familyIrdma},
	{"i40iw", familyIrdma}, {"idpf", familyIrdma}, {"hns3", familyHNS}, {"hns_roce", familyHNS}, {"hns_roce_hw_v2", familyHNS}, {"ionic", familyIonic},
}

// LookupCounter says what a file of counters/ or hw_counters/ means, by the driver of its device (the name that device/driver links to) and its own
// name. Drivers take over each other's names: what is in another's list only means the same, though how wide it is there is not known. What is in no
// list is of class CounterOther. It searches the whole table: it is for when devices are listed.
func LookupCounter(driver, file string) (d CounterDef) {
	own := familyIBTA
	for _, f := range counterFamilies {
		if f.driver == driver {
			own = f.family
		}
	}
	for i := range counterTable {
		switch r := &counterTable[i]; {
		case r.name != file:
		case r.family == familyIBTA || r.family == own:
			return r.def
		case d == CounterDef{}:
			d = r.def
			d.Width = WidthUnknown
		}
	}
	return d
}

// PortErrors are the metrics of a port that are counters of damage or congestion, in the order of the metric table. It is shared: do not change it.
func PortErrors() []Metric { return portErrors[:] }

// NumPortErrors is how many there are.
const NumPortErrors = 31

var portErrors, portErrorAt = func() (list [NumPortErrors]Metric, at [1 << scopeShift]uint8) {
	n := 0
	for _, d := range defs {
		if d.Group == GroupPortErrors && d.ID.Scope() == ScopePort {
			list[n] = d.ID
			n++
			at[d.ID.local()] = uint8(n)
		}
	}
	if n != NumPortErrors {
		panic("NumPortErrors is not their number")
	}
	return list, at
}()

// PortErrorAt is a metric's place among the PortErrors; -1: it is none.
func PortErrorAt(m Metric) int {
	if m.Scope() != ScopePort {
		return -1
	}
	return int(portErrorAt[m.local()]) - 1
}
