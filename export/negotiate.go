package export

import (
	"mime"
	"strconv"
	"strings"
)

// formatFor is the format that an Accept header asks for: what it likes best of the two, Prometheus's own where it does not say, OpenMetrics only in a
// version that is spoken here.
func formatFor(accept string) Format {
	best, format := 0.0, PrometheusText
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if text, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		version := params["version"]
		switch {
		case !(q > best):
		case media == "application/openmetrics-text" && (version == "" || strings.HasPrefix(version, "1.")):
			best, format = q, OpenMetrics
		case media == "text/plain" && (version == "" || version == "0.0.4"), media == "text/*", media == "*/*":
			best, format = q, PrometheusText
		}
	}
	return format
}

// acceptsGzip says whether an Accept-Encoding header allows gzip.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		word, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if word == "gzip" || word == "*" {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(params), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}
