package fleet

import "time"

// SeriesID names a quantity whose past is kept.
type SeriesID uint8

// What is kept of every GPU, in percent but where the name says otherwise.
const (
	SeriesUtil  SeriesID = iota
	SeriesPower          // of its limit
	SeriesTensor
	SeriesSM
	SeriesMem
	SeriesTempC
	SeriesClock // of its maximum
	SeriesNet   // bytes a second through its RDMA ports, both ways
	NumGPUSeries
)

// What is kept of every node, asked for with GPU index -1.
const (
	SeriesCPU      SeriesID = NumGPUSeries + iota // busy, percent
	SeriesHostMem                                 // used, percent
	SeriesHostNet                                 // bytes a second over all ports and interfaces, both ways
	SeriesHostDisk                                // bytes a second, reads and writes
	NumSeries
)

// NumHostSeries is how many series a node has beside its GPUs'.
const NumHostSeries = NumSeries - NumGPUSeries

// Query asks for the past of one quantity.
type Query struct {
	Node   string
	GPU    int // -1: the node's own
	Series SeriesID
	Span   time.Duration // how far back from now
	Points int           // how many equal steps the answer has; each is the mean of what was read in it
}
