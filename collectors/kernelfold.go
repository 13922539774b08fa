package collectors

import (
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// How a flood is told. The first lines of a shape within a while go whole, later ones as a count; what goes whole has an allowance of bytes, apart for
// important lines. Beyond the allowance the newest few still go whole, and all others are one count that belongs to no line.
const (
	shapeWindowUS  = 60_000_000 // after so long the first lines of a shape go whole again
	firstOrdinary  = 5
	firstImportant = 8
	maxShapes      = 2048 // remembered; the one longest unseen gives way
	maxFolds       = 128  // counts of single shapes in one frame
	lateRecords    = 64
	lateBytes      = 8 << 10
	batchBytes     = 48 << 10 // of records in one frame, which has room for the folds
	batchEveryMS   = 1000     // what is not urgent waits so long for more
	foldBytes      = 64       // of a fold on the wire, beside its text
	foldTextBytes  = 256
	ordinaryBurst  = 48 << 10 // bytes
	ordinaryEach   = 3 << 10  // bytes a second
	importantBurst = 96 << 10
	importantEach  = 6 << 10
)

// kernelFold counts records that are not told one by one.
type kernelFold struct {
	anchor          uint64 // sequence of the last record told whole that they are like
	count           uint64
	last            uint64 // sequence of the newest
	firstUS, lastUS int64
	text            []byte // of the newest
}

// add counts a record, which may be older than one counted before.
func (f *kernelFold) add(sequence uint64, stampUS int64, text []byte) {
	if f.count == 0 || stampUS < f.firstUS {
		f.firstUS = stampUS
	}
	f.count++
	if sequence >= f.last {
		f.last, f.lastUS = sequence, stampUS
		f.text = append(f.text[:0], text[:min(len(text), foldTextBytes)]...)
	}
}

func (f *kernelFold) message() *facts.KernelFold {
	return &facts.KernelFold{Sequence: f.anchor, Count: f.count, FirstMonoUs: f.firstUS, LastMonoUs: f.lastUS, LastSequence: f.last,
		LastText: telemetry.Clean(string(f.text), foldTextBytes)}
}

// kernelBatch is one stretch of the log, told in one frame: who has the frame has all that the log said up to its end. So a front end that comes back
// and names the last record it has misses nothing and is told nothing twice.
type kernelBatch struct {
	records []*facts.KernelRecord
	late    []*facts.KernelRecord // the newest of those beyond the allowance
	folds   []kernelFold
	others  kernelFold
	bytes   int // of records and folds
	lateLen int // bytes of late
	urgent  bool
}

func (b *kernelBatch) empty() bool {
	return len(b.records) == 0 && len(b.late) == 0 && len(b.folds) == 0 && b.others.count == 0
}

func (b *kernelBatch) size() int { return b.bytes + b.lateLen }

// message puts records and late ones in their order.
func (b *kernelBatch) message() *facts.KernelLog {
	m := &facts.KernelLog{Records: b.records}
	if len(b.late) > 0 {
		m.Records = make([]*facts.KernelRecord, 0, len(b.records)+len(b.late))
		late := b.late
		for _, r := range b.records {
			for len(late) > 0 && late[0].Sequence < r.Sequence {
				m.Records = append(m.Records, late[0])
				late = late[1:]
			}
			m.Records = append(m.Records, r)
		}
		m.Records = append(m.Records, late...)
	}
	for i := range b.folds {
		m.Folds = append(m.Folds, b.folds[i].message())
	}
	if b.others.count > 0 {
		m.Folds = append(m.Folds, b.others.message())
	}
	return m
}

// shape is what is known of lines that are alike.
type shape struct {
	told    int    // whole, in the present window
	sinceUS int64  // when that window began
	anchor  uint64 // sequence of the last told whole
	batch   uint64 // where its fold is: which batch,
	fold    int    // and which of its folds
	seen    bool   // since it was last considered to give way
}

// shapes remembers the shapes seen of late.
type shapes struct {
	of   map[uint64]*shape
	keys []uint64
	hand int
}

func (t *shapes) get(key uint64) *shape {
	if s := t.of[key]; s != nil {
		s.seen = true
		return s
	}
	if t.of == nil {
		t.of = map[uint64]*shape{}
	}
	s := &shape{}
	if len(t.keys) < maxShapes {
		t.keys = append(t.keys, key)
	} else {
		for ; t.of[t.keys[t.hand]].seen; t.hand = (t.hand + 1) % maxShapes {
			t.of[t.keys[t.hand]].seen = false
		}
		s = t.of[t.keys[t.hand]]
		delete(t.of, t.keys[t.hand])
		*s = shape{}
		t.keys[t.hand] = key
		t.hand = (t.hand + 1) % maxShapes
	}
	t.of[key] = s
	return s
}

// byteAllowance is a token bucket of bytes.
type byteAllowance struct {
	left, burst, each int
	atMS              int64
}

func (a *byteAllowance) take(bytes int, nowMS int64) bool {
	if a.atMS == 0 {
		a.left = a.burst
	} else if d := nowMS - a.atMS; d > 0 {
		a.left = min(a.burst, a.left+int(min(d, 60_000))*a.each/1000)
	}
	a.atMS = max(nowMS, 1)
	if a.left < bytes {
		return false
	}
	a.left -= bytes
	return true
}

// kernelFolder decides what of the log goes whole.
type kernelFolder struct {
	kinds  [2]shapes // ordinary lines, important ones: neither makes the other's give way
	allow  [2]byteAllowance
	closed []*kernelBatch // full, oldest first
	open   *kernelBatch
	number uint64 // of the open batch
}

func (f *kernelFolder) take(r *kernelRecord, nowMS int64) {
	if f.open == nil {
		f.allow = [2]byteAllowance{{burst: ordinaryBurst, each: ordinaryEach}, {burst: importantBurst, each: importantEach}}
		f.begin()
	}
	kind, first := 0, firstOrdinary
	if important(r.level, r.text) {
		kind, first = 1, firstImportant
	}
	s := f.kinds[kind].get(telemetry.Shape(r.text))
	if s.sinceUS == 0 || r.stampUS-s.sinceUS >= shapeWindowUS || r.stampUS < s.sinceUS-shapeWindowUS {
		s.told, s.sinceUS = 0, max(r.stampUS, 1)
	}
	b := f.open
	switch cost := r.cost(); {
	case s.told < first && f.allow[kind].take(cost, nowMS):
		s.told++
		s.anchor = r.sequence
		b.records = append(b.records, r.message())
		b.bytes += cost
		b.urgent = b.urgent || kind == 1
	case s.anchor == 0 && kind == 0:
		b.late = append(b.late, r.message())
		b.lateLen += cost
		for len(b.late) > lateRecords || b.lateLen > lateBytes && len(b.late) > 1 {
			f.dropLate(b)
		}
	case s.anchor != 0 && s.batch == f.number:
		b.folds[s.fold].add(r.sequence, r.stampUS, r.text)
	case s.anchor != 0 && len(b.folds) < maxFolds:
		s.batch, s.fold = f.number, len(b.folds)
		b.folds = append(b.folds, kernelFold{anchor: s.anchor})
		b.folds[s.fold].add(r.sequence, r.stampUS, r.text)
		b.bytes += foldBytes + min(len(r.text), foldTextBytes)
	default:
		b.others.add(r.sequence, r.stampUS, r.text)
	}
	if b.bytes >= batchBytes {
		f.closed = append(f.closed, b)
		f.begin()
	}
}

// dropLate counts the oldest of the late records instead of telling it.
func (f *kernelFolder) dropLate(b *kernelBatch) {
	r := b.late[0]
	b.late = b.late[1:]
	b.lateLen -= recordCost(r)
	b.others.add(r.Sequence, r.MonoUs, []byte(r.Text))
}

// bytes is how much waits.
func (f *kernelFolder) bytes() int {
	n := 0
	for _, b := range f.closed {
		n += b.size()
	}
	if f.open != nil {
		n += f.open.size()
	}
	return n
}

func (f *kernelFolder) begin() {
	f.open = &kernelBatch{}
	f.number++
}

// next gives the oldest batch: a closed one, or what the open one holds, where that is urgent or due.
func (f *kernelFolder) next(due bool) *kernelBatch {
	if len(f.closed) > 0 {
		b := f.closed[0]
		f.closed = f.closed[1:]
		return b
	}
	b := f.open
	if b == nil || b.empty() || !due && !b.urgent {
		return nil
	}
	f.begin()
	return b
}
