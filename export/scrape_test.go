package export

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"foretop/fleet"
)

func TestFormatFor(t *testing.T) {
	for accept, want := range map[string]Format{
		"":    PrometheusText,
		"*/*": PrometheusText,
		"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1": OpenMetrics,
		"application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1":                                                  PrometheusText,
		"text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5":                                                       PrometheusText,
		"application/vnd.google.protobuf;proto=x,application/openmetrics-text;q=0.2":                                                            OpenMetrics,
		"application/openmetrics-text;q=0": PrometheusText, "application/openmetrics-text;q=x,;;": PrometheusText,
	} {
		if got := formatFor(accept); got != want {
			t.Errorf("%q: %v, want %v", accept, got, want)
		}
	}
}

func FuzzFormatFor(f *testing.F) {
	f.Add("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "gzip;q=0.5")
	f.Fuzz(func(t *testing.T, accept, encoding string) {
		if got := formatFor(accept); got > PrometheusText {
			t.Fatal(got)
		}
		acceptsGzip(encoding)
	})
}

// scrapes serves a snapshot, as of its own time.
func scrapes(t *testing.T, s *fleet.Snapshot) (*Scrape, *httptest.Server) {
	h := NewScrape(func() *fleet.Snapshot { return s })
	h.Now = func() time.Time { return s.At }
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return h, server
}

func ask(t *testing.T, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := (&http.Transport{DisableCompression: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body := io.Reader(answer.Body)
	if answer.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func TestScrape(t *testing.T) {
	s := many()
	h, server := scrapes(t, s)
	for _, c := range []struct {
		accept, encoding string
		format           Format
	}{{"application/openmetrics-text", "gzip", OpenMetrics}, {"application/openmetrics-text", "", OpenMetrics}, {"", "gzip;q=0", PrometheusText}, {"*/*", "br, *", PrometheusText}} {
		answer, text := ask(t, "GET", server.URL+"/metrics", "Accept", c.accept, "Accept-Encoding", c.encoding)
		if want := metrics(t, s, c.format); text != want || answer.Header.Get("Content-Type") != c.format.ContentType() {
			t.Errorf("%+v: %s, %d bytes, want %d", c, answer.Header.Get("Content-Type"), len(text), len(want))
		}
		if packed := answer.Header.Get("Content-Encoding") == "gzip"; packed != acceptsGzip(c.encoding) {
			t.Errorf("%+v: gzip %v", c, packed)
		}
	}
	for _, c := range []struct {
		method, path string
		code         int
		text         string
	}{{"GET", "/", 200, "/metrics"}, {"GET", "/x", 404, "/metrics"}, {"POST", "/metrics", 405, "only GET"}, {"HEAD", "/metrics", 200, ""}} {
		if answer, text := ask(t, c.method, server.URL+c.path); answer.StatusCode != c.code || !strings.Contains(text, c.text) {
			t.Errorf("%s %s: %d %q", c.method, c.path, answer.StatusCode, text)
		}
	}
	for range maxScrapes {
		h.slots <- struct{}{}
	}
	if answer, text := ask(t, "GET", server.URL+"/metrics"); answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" {
		t.Errorf("one scrape too many: %d %q", answer.StatusCode, text)
	}
	for range maxScrapes {
		<-h.slots
	}
	h.Now = func() time.Time { return s.At.Add(2 * time.Minute) }
	if answer, text := ask(t, "GET", server.URL+"/metrics"); answer.StatusCode != 503 || !strings.Contains(text, "2m0s old") {
		t.Errorf("an old picture: %d %q", answer.StatusCode, text)
	}
}

// A reader that stops reading holds one place, and nothing else.
func TestSlowScrapeHoldsNothingUp(t *testing.T) {
	_, server := scrapes(t, fleetOf(200))
	for range maxScrapes - 1 {
		answer, err := http.Get(server.URL + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close() // unread
	}
	if answer, text := ask(t, "GET", server.URL+"/metrics"); answer.StatusCode != 200 || !strings.Contains(text, "node199") {
		t.Errorf("%d, %d bytes", answer.StatusCode, len(text))
	}
}
