package findings

import (
	"fmt"
	"testing"
	"time"

	"foretop/fleet"
)

// BenchmarkIncidents folds what is found on 1,000 nodes once a second: on a healthy fleet, on one with a usual number of faults, and on one of which a hall has lost its power.
func BenchmarkIncidents(b *testing.B) {
	for _, of := range []struct {
		name         string
		faults, lost int
	}{{"healthy", 0, 0}, {"40-faults", 40, 0}, {"500-lost", 40, 500}} {
		b.Run(of.name, func(b *testing.B) {
			y := newYard(1000)
			for i := range 100 {
				j := y.job(fmt.Sprint(8000+i), 10*i, 10*i+1, 10*i+2, 10*i+3, 10*i+4, 10*i+5, 10*i+6, 10*i+7)
				if i < of.faults {
					y.has(10*i+2, fleet.Critical, 3, -time.Duration(i)*time.Minute, "Xid 79 GPU3: fell off the bus")
					judged(j, fleet.Critical, 20*time.Second-time.Duration(i)*time.Minute, "no progress 41 s?")
				}
			}
			for i := range of.lost {
				y.lose(i, time.Duration(i)*10*time.Millisecond)
			}
			y.look(time.Minute)
			b.ReportAllocs()
			b.ResetTimer()
			before := processorTime()
			for i := range b.N {
				y.look(time.Minute + time.Duration(i)*time.Millisecond)
			}
			b.ReportMetric((processorTime()-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(len(y.was)), "incidents")
		})
	}
}
