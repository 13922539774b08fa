package collectors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// edacFolder has a folder a memory controller, each with counts of errors since its driver was loaded, or since somebody reset them
// (https://docs.kernel.org/admin-guide/RAS/main.html).
const edacFolder = "sys/devices/system/edac/mc"

// maxControllers bounds how many memory controllers are read; a large machine has two dozen.
const maxControllers = 256

// absurdCount is more errors than there can be: the kernel counts in 32 bits.
const absurdCount = 1 << 33

// edacReader reads how many memory errors the memory controllers have corrected, and how many they could not.
type edacReader struct {
	m   *machine
	buf []byte
}

func newEDAC(m *machine) reader { return &edacReader{m: m} }

func (r *edacReader) close() {}

func (r *edacReader) read(context.Context) error {
	controllers, err := r.controllers()
	if err != nil {
		return err
	}
	corrected, uncorrected := edacCount{}, edacCount{}
	for _, mc := range controllers {
		r.add(&corrected, mc+"/ce_count")
		r.add(&uncorrected, mc+"/ue_count")
	}
	brd := r.m.board
	brd.mu.Lock()
	defer brd.mu.Unlock()
	setIf(&brd.state, telemetry.MemCorrectedErrors, corrected.sum, corrected.known)
	setIf(&brd.state, telemetry.MemUncorrectedErrors, uncorrected.sum, uncorrected.known)
	return errors.Join(corrected.err, uncorrected.err)
}

// controllers are the folders of the memory controllers; none of them is no fault: the machine's maker may keep the errors to itself.
func (r *edacReader) controllers() ([]string, error) {
	names, err := r.m.root.Names(edacFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []string
	for _, name := range names {
		if n, ok := strings.CutPrefix(name, "mc"); ok && len(list) < maxControllers {
			if _, ok := kernfs.ParseUint([]byte(n)); ok {
				list = append(list, edacFolder+"/"+name)
			}
		}
	}
	if len(list) == 0 {
		return nil, unsupported("the kernel counts no memory errors: no EDAC driver for this machine, or its firmware keeps them")
	}
	slices.SortFunc(list, kernfs.Natural)
	return list, nil
}

// edacCount is a sum over controllers. One file that cannot be read makes it not known: a sum without it may only seem to fall.
type edacCount struct {
	sum   uint64
	known bool
	err   error
	bad   bool
}

func (r *edacReader) add(c *edacCount, path string) {
	n, buf, err := r.m.root.Number(path, r.buf)
	r.buf = buf
	if err == nil && n > absurdCount {
		err = fmt.Errorf("parse %s: %d errors cannot be", path, n)
	}
	if err != nil {
		c.bad, c.known, c.err = true, false, errors.Join(c.err, err)
		return
	}
	c.sum, c.known = c.sum+n, !c.bad
}
