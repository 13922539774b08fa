package collectors

import (
	"sync"

	"foretop/telemetry/facts"
)

const (
	kernelQueueBytes = 512 << 10 // kernel records waiting to be sent; what is more waits in the kernel's own ring
	kernelFrameBytes = 64 << 10  // of text in one frame
	recordOverhead   = 24        // bytes that a record needs beside its text, on the wire
)

// kernelQueue holds kernel records between their source and the stream.
type kernelQueue struct {
	mu       sync.Mutex
	records  []*facts.KernelRecord
	bytes    int
	lost     uint64
	via      string
	first    uint64 // sequence of the first record ever read, of whatever facility
	newest   uint64 // and of the last
	read     bool   // both are set
	drained  bool   // the ring was read to its end once: newest is its newest
	last     uint64 // sequence of the last record put
	known    uint64 // the front end has these already
	knownVia string // by this way; empty where it did not say
}

// room says whether another record may be put.
func (q *kernelQueue) room() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes < kernelQueueBytes
}

// begin tells where the records come from.
func (q *kernelQueue) begin(via string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.via != via {
		q.via, q.read, q.drained, q.last = via, false, false, 0
	}
}

// end notes that there is nothing more to read at present.
func (q *kernelQueue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drained = true
}

// seen notes a sequence number, of a record that is told or not.
func (q *kernelQueue) seen(sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.read {
		q.first, q.read = sequence, true
		q.missed()
	}
	q.newest = max(q.newest, sequence)
}

// put takes a record, unless it or a later one of its way was put before: a source that starts anew reads everything again.
func (q *kernelQueue) put(r *facts.KernelRecord) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.last > 0 && r.Sequence <= q.last {
		return
	}
	q.last = r.Sequence
	q.records = append(q.records, r)
	q.bytes += len(r.Text) + recordOverhead
}

func (q *kernelQueue) lose(n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost += n
}

// resume says that the front end has all records of this boot up to a sequence number, by the way given; empty where it is too old to say.
func (q *kernelQueue) resume(via string, sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.known, q.knownVia = sequence, via
	q.missed()
}

// compare forgets what the front end has where that was counted by the other way: the journal's numbers are µs, the ring's count records, and
// against each other they say nothing. A number beyond the ring's newest record is not the ring's, whoever says so.
func (q *kernelQueue) compare() {
	if q.via == "" {
		return
	}
	if q.knownVia != "" && q.knownVia != q.via || q.via == viaKmsg && q.read && q.drained && q.known > q.newest {
		q.known, q.knownVia = 0, ""
	}
}

// missed counts the records between the last that the front end has and the oldest that the ring still held.
func (q *kernelQueue) missed() {
	q.compare()
	if q.read && q.known > 0 && q.via == viaKmsg && q.first > q.known+1 {
		q.lost += q.first - q.known - 1
	}
}

// take gives the next batch, nil when there is nothing to tell.
func (q *kernelQueue) take() *facts.KernelLog {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.compare()
	if q.known > q.newest && q.via == viaKmsg && !q.drained && q.bytes < kernelQueueBytes {
		return nil // whether known is of this way shows at the ring's end
	}
	m := &facts.KernelLog{Lost: q.lost, Via: q.via}
	n, size := 0, 0
	for _, r := range q.records {
		cost := len(r.Text) + recordOverhead
		if size+cost > kernelFrameBytes || len(m.Records) >= maxPerFrame {
			break
		}
		n++
		q.bytes -= cost
		if r.Sequence > q.known {
			m.Records = append(m.Records, r)
			size += cost
		}
	}
	clear(q.records[:n])
	q.records = q.records[n:]
	if len(q.records) == 0 {
		q.records = nil
	}
	if len(m.Records) == 0 && m.Lost == 0 {
		return nil
	}
	q.lost = 0
	return m
}
