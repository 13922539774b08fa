package export

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"time"

	"foretop/fleet"
)

// Scrape answers Prometheus's scrapes with the snapshot that was published last. It holds nothing of the fleet up: a snapshot is immutable, and is written
// while the next ones are made.
type Scrape struct {
	Snapshot func() *fleet.Snapshot // the one published last
	Now      func() time.Time

	slots chan struct{} // one a scrape that is being answered
}

// Scrapes are answered at once at most maxScrapes at a time: two servers that keep history, and people with curl. A snapshot that is older than oldSnapshot
// is not published: whoever makes them has stopped.
const (
	maxScrapes  = 4
	oldSnapshot = time.Minute
	slowScrape  = time.Minute // a reader that takes longer is cut off
)

// NewScrape returns a handler that asks snapshot for what it publishes.
func NewScrape(snapshot func() *fleet.Snapshot) *Scrape {
	return &Scrape{Snapshot: snapshot, Now: time.Now, slots: make(chan struct{}, maxScrapes)}
}

// ServeHTTP answers /metrics, and tells whoever asks for / where that is.
func (s *Scrape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET is answered here", http.StatusMethodNotAllowed)
	case r.URL.Path == "/":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "foretop export: metrics are at /metrics\n")
	case r.URL.Path != "/metrics":
		http.Error(w, "nothing is here; metrics are at /metrics", http.StatusNotFound)
	default:
		s.metrics(w, r)
	}
}

func (s *Scrape) metrics(w http.ResponseWriter, r *http.Request) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, fmt.Sprintf("%d scrapes are being answered: no more at once", maxScrapes), http.StatusServiceUnavailable)
		return
	}
	snap := s.Snapshot()
	if age := s.Now().Sub(snap.At); age > oldSnapshot {
		http.Error(w, fmt.Sprintf("the last picture of the fleet is %v old", age.Round(time.Second)), http.StatusServiceUnavailable)
		return
	}
	format := formatFor(r.Header.Get("Accept"))
	h := w.Header()
	h.Set("Content-Type", format.ContentType())
	h.Set("Vary", "Accept, Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodHead {
		return
	}
	// Not every writer has a deadline; the server's do.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(slowScrape))
	// An error is the reader's, who went away: there is nobody left to be told.
	if !acceptsGzip(r.Header.Get("Accept-Encoding")) {
		_ = Metrics(w, snap, format)
		return
	}
	h.Set("Content-Encoding", "gzip")
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is one that there is
	if Metrics(z, snap, format) == nil {
		_ = z.Close()
	}
}
