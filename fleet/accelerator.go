package fleet

import (
	"cmp"
	"slices"
	"time"

	"foretop/telemetry/facts"
)

// GPU is one accelerator. Status is telemetry.GPUOK and its like; a GPU whose readings stopped has Stale set and its last values.
//
// Its own fields are read every second. What is read seldom lies in Slow, which snapshots share until it is read again; what is only read while somebody
// looks lies in Detail.
//
// What is asked of every GPU for each picture stands first.
type GPU struct {
	Index                                                  int
	Info                                                   *facts.GPU // who it is; never nil in a snapshot
	Status                                                 int
	Stale                                                  time.Duration // how long its readings have not been renewed; 0: fresh
	Severity                                               Severity      // of the worst problem of this GPU
	IdleSince                                              time.Time     // held and idle since; zero: it is not
	UtilPct                                                Reading
	MemUtilPct                                             Reading // memory controller
	MemUsedBytes, MemTotalBytes                            Reading
	TempC, MemTempC                                        Reading
	PowerW, PowerLimitW                                    Reading
	SMClockMHz, SMClockMaxMHz, MemClockMHz, MemClockMaxMHz Reading
	SMActivityPct, TensorActivityPct, DRAMActivityPct      Reading
	ThrottleBits                                           int64      // NVML clock event reasons; -1 unknown
	NVLinkTXBytesPerS, NVLinkRXBytesPerS                   Reading    // over all its links
	NetRxBytesPerS, NetTxBytesPerS                         Reading    // of the RDMA ports that belong to it, where that is known
	Slow                                                   *GPUSlow   // never nil in a snapshot
	Detail                                                 *GPUDetail // nil but at detail level
	Holders                                                []Holder   // processes that hold it, or a part of it
}

// GPUSlow is what is read of a GPU once in half a minute or so: its health. Counters are totals since the driver was loaded, or since the board was made.
type GPUSlow struct {
	ECCMode                                                   Reading // 1 on
	ECCVolatileCorrected, ECCVolatileUncorrected              Reading
	ECCAggregateCorrected, ECCAggregateUncorrected            Reading
	SRAMUncorrected                                           Reading
	SRAMThresholdExceeded                                     Reading // 0 or 1: so many that the maker replaces the board
	RemappedCorrected, RemappedUncorrected                    Reading // memory rows
	RemapPending, RemapFailure                                Reading // 0 or 1
	RetiredPagesCorrected, RetiredPagesUncorrected            Reading // before Ampere
	RetiredPending                                            Reading // 0 or 1
	PCIeGen, PCIeGenMax, PCIeWidth, PCIeWidthMax, PCIeReplays Reading
	PCIeLowSince                                              time.Time // since when its generation is seen below its maximum while it works; zero: it is not
	SlowdownTempC, ShutdownTempC                              Reading
	Processes                                                 Reading   // that the driver knows of: others' too
	RecoveryAction                                            int       // the driver's own verdict: telemetry.RecoveryNone and its like; -1 unknown
	FabricSince                                               time.Time // since when its state is seen to be what it is
	FabricState                                               int       // telemetry.FabricUnsupported and its like; -1 unknown
	FabricStatus                                              int64     // nvmlReturn_t with which joining the fabric ended; -1 unknown
	FabricHealthBits                                          int64     // healthMask of NVML; -1 unknown
	Links, LinksUp                                            Reading   // NVLink or xGMI
	LinksMost                                                 Reading   // the most that were seen up
	LinksDown                                                 []int     // numbers of the links that are known to be down
	NVLinkReplays, NVLinkRecoveries, NVLinkCRCErrors          Rise      // of all its links
	C2CLinks, C2CLinksUp                                      Reading   // to the CPU
	Resets                                                    Rise      // that the driver counts
	ExecErrors                                                Rise      // runs on it that failed

	identity string // whose it is
}

// GPUDetail is what is read of a GPU only while its node is looked at.
type GPUDetail struct {
	GraphicsActivityPct, SMOccupancyPct                Reading
	FP64ActivityPct, FP32ActivityPct, FP16ActivityPct  Reading
	EncoderPct, DecoderPct                             Reading
	QueueSize                                          Reading // programs that wait to run
	MemReservedBytes                                   Reading
	BAR1UsedBytes, BAR1TotalBytes                      Reading
	HostMemUsedBytes, HostMemTotalBytes                Reading // of the machine's memory, for it
	PowerAvgW                                          Reading
	PowerDefaultLimitW, PowerMinLimitW, PowerMaxLimitW Reading
	EnergyJ                                            Reading // since the driver was loaded
	TempMarginC, MemMaxTempC, VRTempC                  Reading
	// Limits of the margin, where they are told so in place of temperatures (Ada and later): at or below them it is slowed down, may shut down.
	SlowdownTLimitC, ShutdownTLimitC, MaxTLimitC, MemMaxTLimitC Reading
	PState                                                      int // -1 unknown
	Persistence                                                 Reading
	ComputeMode                                                 int // nvmlComputeMode_t; -1 unknown
	PCIeTXBytesPerS, PCIeRXBytesPerS                            Reading
	PCIeReplayRollovers, PCIeL0ToRecovery                       Reading
	PCIeCorrectableErrors, PCIeNonFatalErrors, PCIeFatalErrors  Reading
	PCIeNAKsReceived, PCIeNAKsSent                              Reading
	PCIeBadTLPs, PCIeBadDLLPs, PCIeLCRCErrors                   Reading
	Throttle                                                    [NumThrottleCauses]Throttle
}

// ThrottleCause is why a GPU was held back, as drivers count the time of it.
type ThrottleCause uint8

// Causes, in the order of the metrics that count them.
const (
	ThrottlePower ThrottleCause = iota // its power limit
	ThrottleThermal
	ThrottleSyncBoost
	ThrottleBoard
	ThrottleReliability
	ThrottleSWThermal
	ThrottleHWThermal
	ThrottlePowerBrake
	NumThrottleCauses
)

// Throttle is for how long a GPU was held back for one cause.
type Throttle struct {
	Total Reading // seconds, since the driver was loaded
	Pct   Reading // of the time between the last two readings
}

// Rise is a counter that should stand still: what it says, and by how much it grew of late.
type Rise struct {
	Total Reading
	Grew  Reading   // since it was first read, or since it was quiet for RiseKept; absent where Total is
	At    time.Time // when it was last seen to have grown; zero: not of late

	last Reading // Total when it was last known
}

// RiseKept is for how long the growth of a counter is remembered after it last grew.
const RiseKept = time.Hour

// next is the counter as read anew. That it is not known for a while, as while its node is reached anew, forgets nothing.
func (r Rise) next(now Reading, at time.Time) Rise {
	r.Total = now
	switch {
	case !now.Known():
	case !r.last.Known() || now < r.last: // first seen, or reset
		return Rise{Total: now, last: now}
	case now > r.last:
		return Rise{Total: now, Grew: r.Grew + now - r.last, At: at, last: now}
	case !r.At.IsZero() && at.Sub(r.At) >= RiseKept:
		return Rise{Total: now, last: now}
	}
	return r
}

// PowerPct is power as a share of its limit.
func (g *GPU) PowerPct() Reading { return g.PowerW.Share(g.PowerLimitW) }

// MemPct is used memory as a share of all.
func (g *GPU) MemPct() Reading { return g.MemUsedBytes.Share(g.MemTotalBytes) }

// ClockPct is the SM clock as a share of its maximum.
func (g *GPU) ClockPct() Reading { return g.SMClockMHz.Share(g.SMClockMaxMHz) }

// NVLinkBytesPerS is what goes over all its links, both ways.
func (g *GPU) NVLinkBytesPerS() Reading {
	return Reading(add(float64(g.NVLinkTXBytesPerS), float64(g.NVLinkRXBytesPerS)))
}

// Holder is a process that holds a GPU.
type Holder struct {
	PID      int32
	Part     int // index in Parts of the one that it holds; -1: the whole of it, or not known
	MemBytes Reading
	Rank     int // -1: not a rank
	Job      string
}

// Part is a part of an accelerator that is used by itself: a MIG instance, an MI300 partition, a NeuronCore.
type Part struct {
	Info                                              *facts.GPUPart // never nil in a snapshot
	GPU                                               int            // index of the GPU
	UtilPct                                           Reading
	MemUsedBytes, MemTotalBytes                       Reading
	SMActivityPct, TensorActivityPct, DRAMActivityPct Reading
	ECCUncorrected                                    Reading
	Holders                                           []Holder
}

// Link is one NVLink or xGMI link of a GPU. Counters are totals.
type Link struct {
	Info                                  *facts.GPULink // never nil in a snapshot
	GPU                                   int            // index of the GPU
	State                                 int            // telemetry.LinkUp and its like; -1 unknown
	SpeedBytesPerS                        Reading
	TXBytesPerS, RXBytesPerS              Reading
	Replays, Recoveries, RecoveryFailures Reading
	CRCErrors, ECCErrors, SymbolErrors    Reading
	RxErrors, TxDiscards, EffectiveErrors Reading
}

// Call is what one call into a driver's library costs, in wall time.
type Call struct {
	Name                  string
	Source                int // index in Sources
	PerS                  Reading
	MeanUS, LastUS, MaxUS Reading // of the last interval; the last one; the longest ever
	Count                 Reading // ever
}

// PartsOf are the parts of a GPU.
func (n *Node) PartsOf(gpu int) []Part {
	return of(n.Parts, gpu, func(p *Part) int { return p.GPU })
}

// LinksOf are the links of a GPU.
func (n *Node) LinksOf(gpu int) []Link {
	return of(n.Links, gpu, func(l *Link) int { return l.GPU })
}

// of is the run of a list that is ordered by GPU which belongs to one.
func of[T any](list []T, gpu int, owner func(*T) int) []T {
	at := func(gpu int) int {
		i, _ := slices.BinarySearchFunc(list, gpu, func(t T, gpu int) int { return cmp.Compare(owner(&t), gpu) })
		return i
	}
	return list[at(gpu):at(gpu+1)]
}
