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
	mu      sync.Mutex
	records []*facts.KernelRecord
	bytes   int
	lost    uint64
	via     string
	first   uint64 // sequence of the first record ever read, of whatever facility
	read    bool   // first is set
	known   uint64 // the front end has these already
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
	q.via = via
}

// seen notes a sequence number, of a record that is told or not.
func (q *kernelQueue) seen(sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.read {
		q.first, q.read = sequence, true
		q.missed()
	}
}

func (q *kernelQueue) put(r *facts.KernelRecord) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.records = append(q.records, r)
	q.bytes += len(r.Text) + recordOverhead
}

func (q *kernelQueue) lose(n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost += n
}

// resume says that the front end has all records of this boot up to a sequence number.
func (q *kernelQueue) resume(sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.known = sequence
	q.missed()
}

// missed counts the records between the last that the front end has and the oldest that the ring still held.
func (q *kernelQueue) missed() {
	if q.read && q.known > 0 && q.via == viaKmsg && q.first > q.known+1 {
		q.lost += q.first - q.known - 1
	}
}

// take gives the next batch, nil when there is nothing to tell.
func (q *kernelQueue) take() *facts.KernelLog {
	q.mu.Lock()
	defer q.mu.Unlock()
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
