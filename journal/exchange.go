package journal

import (
	"context"
	"fmt"
	"time"
)

// write has an entry written. Guarded by mu.
func (b *Book) write(e entry) {
	if b.file == nil {
		return
	}
	if len(b.queue) >= maxQueue {
		b.dropped++
		return
	}
	b.queue = append(b.queue, e)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// keep writes what waits, and reads what others wrote, until ctx ends; then it writes what is left.
func (b *Book) keep(ctx context.Context) {
	defer close(b.ended)
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	b.exchange(false)
	for {
		select {
		case <-ctx.Done():
			b.exchange(true)
			return
		case <-b.wake:
		case <-tick.C:
		}
		b.exchange(false)
	}
}

// exchange takes in what others wrote and writes what waits.
func (b *Book) exchange(last bool) {
	b.exchanging.Lock()
	defer b.exchanging.Unlock()
	b.mu.Lock()
	queue := b.queue
	b.queue = nil
	b.mu.Unlock()
	err := b.file.exchange(queue, b.now(), func(read []entry) []entry {
		b.mu.Lock()
		defer b.mu.Unlock()
		for i := range read {
			b.take(&read[i])
		}
		return untold(queue, read)
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.loaded {
		b.loaded = true
		close(b.ready)
	}
	b.trouble = ""
	if err != nil {
		b.trouble = fmt.Sprintf("what is said here lasts only until foretop ends: %v", err)
		if !last { // it may be written later
			b.queue = append(queue, b.queue...)
			b.queue = b.queue[:min(len(b.queue), maxQueue)]
		}
	} else if b.dropped > 0 {
		b.trouble = fmt.Sprintf("%d findings are not written down: too many at a time", b.dropped)
	}
}

// untold leaves out of what waits to be written what another foretop has told meanwhile.
func untold(queue, read []entry) []entry {
	told := map[string]time.Time{}
	for i := range read {
		if read[i].Kind == kindFound {
			told[read[i].Key] = read[i].Since
		}
	}
	if len(told) == 0 {
		return queue
	}
	out := make([]entry, 0, len(queue))
	for _, e := range queue {
		if since, ok := told[e.Key]; !ok || e.Kind != kindFound || e.Since.Sub(since).Abs() > sameWithin {
			out = append(out, e)
		}
	}
	return out
}

// take takes in an entry of the file, another's or of before. Guarded by mu.
func (b *Book) take(e *entry) {
	if b.now().Sub(e.Time) > keepFor || e.Time.Sub(b.now()) > 24*time.Hour {
		return
	}
	switch e.Kind {
	case kindFound:
		if e.Key != "" && !e.Since.IsZero() && b.now().Sub(e.Since) <= keepFor {
			on, here := b.session[e.Key]
			b.found(e.Key, e.Since, e.Time)
			if here && e.Time.Before(on.told) && on.since.Sub(e.Since).Abs() <= sameWithin { // it was told before us
				on.told = e.Time
				b.session[e.Key] = on
			}
		}
	case kindGone:
		if h := b.past[e.Key]; h != nil && e.Time.After(h.gone) {
			if _, here := b.session[e.Key]; !here {
				h.gone = e.Time
			}
		}
	case kindMark:
		kind, ok := markNamed(e.Mark)
		if old := b.marks[e.Key]; ok && e.Key != "" && !e.Time.Before(old.at) && len(b.marks) < maxKeys {
			b.marks[e.Key] = said{kind, e.By, e.Time, e.Until, severityNamed(e.Severity)}
		}
	case kindLooked:
		if e.By == b.by && e.Time.After(b.looked) {
			b.looked = e.Time
		}
	}
}
