package collectors

import (
	"sync"

	"foretop/telemetry/facts"
)

const (
	kernelQueueBytes = 512 << 10 // kernel records waiting to be sent; what is more waits in the kernel's own ring
	kernelFrameBytes = 64 << 10  // of text in one frame
	recordOverhead   = 32        // bytes that a record needs beside its text, on the wire
)

// kernelQueue holds kernel records between their source and the stream: as they are until the front end said which it has, folded from then on.
type kernelQueue struct {
	clock func() int64 // monotonic ms; nil: time does not pass

	mu       sync.Mutex
	raw      []*facts.KernelRecord // read before it is known which of them the front end has
	bytes    int                   // of raw, and of what the folder holds
	folder   kernelFolder
	sentMS   int64 // when a batch was last told
	lost     uint64
	via      string
	first    uint64 // sequence of the first record ever read, of whatever facility
	newest   uint64 // and of the last
	read     bool   // both are set
	drained  bool   // the ring was read to its end once: newest is its newest
	next     uint64 // sequence after that of the last record put
	told     bool   // the front end said what it has
	settled  bool   // and raw was compared with that: records go to the folder
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
		q.via, q.read, q.drained, q.next, q.settled = via, false, false, 0, false
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

// put takes a record, unless it or a later one of its way was put before: a source that starts anew reads everything again. The record's bytes are
// the caller's again afterwards.
func (q *kernelQueue) put(r *kernelRecord) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.sequence < q.next {
		return
	}
	q.next = r.sequence + 1
	if q.settled {
		q.compare()
		q.fold(r)
		return
	}
	m := r.message()
	q.raw = append(q.raw, m)
	q.bytes += recordCost(m)
}

// fold gives a record to the folder, unless the front end has it.
func (q *kernelQueue) fold(r *kernelRecord) {
	if q.known > 0 && r.sequence <= q.known {
		return
	}
	was := q.folder.bytes()
	q.folder.take(r, q.now())
	q.bytes += q.folder.bytes() - was
}

func (q *kernelQueue) now() int64 {
	if q.clock == nil {
		return 0
	}
	return q.clock()
}

func (q *kernelQueue) lose(n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost += n
}

// resume says that the front end has all records of this boot up to a sequence number, by the way given; empty where it is too old to say. 0: it has none.
func (q *kernelQueue) resume(via string, sequence uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.known, q.knownVia, q.told = sequence, via, true
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
	m := &facts.KernelLog{}
	if !q.told {
		m.Records = q.takeRaw()
	} else {
		q.settle()
		now := q.now()
		if b := q.folder.next(q.clock == nil || now-q.sentMS >= batchEveryMS); b != nil {
			q.bytes -= b.size()
			q.sentMS, m = now, b.message()
		}
	}
	m.Lost, m.Via = q.lost, q.via
	if len(m.Records) == 0 && len(m.Folds) == 0 && m.Lost == 0 {
		return nil
	}
	q.lost = 0
	return m
}

// settle folds what was read before the front end said what it has: a count of records of which it has some would tell them twice.
func (q *kernelQueue) settle() {
	if q.settled || q.via == "" {
		return
	}
	for _, m := range q.raw {
		q.bytes -= recordCost(m)
		q.fold(recordOf(m))
	}
	q.raw, q.settled = nil, true
}

// takeRaw gives the next records as they were read: nobody said which are known.
func (q *kernelQueue) takeRaw() []*facts.KernelRecord {
	n, size := 0, 0
	for _, r := range q.raw {
		cost := recordCost(r)
		if size+cost > kernelFrameBytes || n >= maxPerFrame {
			break
		}
		n++
		size += cost
	}
	out := q.raw[:n:n]
	q.raw = q.raw[n:]
	q.bytes -= size
	return out
}

// recordCost is about how many bytes a record takes on the wire.
func recordCost(r *facts.KernelRecord) int { return len(r.Text) + len(r.Device) + recordOverhead }
