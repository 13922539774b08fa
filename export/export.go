// Package export writes a snapshot of the fleet for programs and for paper: as JSON, whose every field SNAPSHOT.md documents, as metrics for Prometheus,
// which METRICS.md lists, and as a plain table. It only reads the snapshot. The command line calls it.
//
// The JSON is stable: fields are added, never renamed, moved or given another unit without a new [SchemaVersion]. Names are snake_case with the unit
// last; a reading that is not there is null, which is never zero; a list is never null.
package export

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"foretop/fleet"
)

// SchemaVersion is the version of the JSON document, its field schema_version.
const SchemaVersion = 1

// JSON writes the whole snapshot as one indented document.
func JSON(w io.Writer, s *fleet.Snapshot) error {
	buffered := bufio.NewWriterSize(w, 64<<10)
	e := json.NewEncoder(buffered)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(documentOf(s)); err != nil {
		return fmt.Errorf("encode snapshot: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return nil
}
