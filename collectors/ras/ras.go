// Package ras reads what NCCL's RAS says: the watch that the NCCL libraries of a job's processes keep over one another, from NCCL 2.24.3 on
// (https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting/ras.html). Each process listens on its own machine, and any of them tells of the whole
// job: which communicators there are, whose ranks are dead or do not answer, and how many collectives each rank has launched.
//
// The package is pure: it is given what came, as it comes, and keeps no more of it than it tells. It knows the text of every version and the JSON that there is from
// 2.28.7 on, that of 2.28.7 and 2.28.9 included, which lacks a comma just where something is wrong. Who connects, and when, is for package collectors.
package ras

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// Request is what is sent, in one write, to any version: one that knows no format or protocol answers ERROR to that line and goes on. The sending side
// must stay open until the answer has come: a server takes a half-closed connection for one that is gone.
const Request = "CLIENT PROTOCOL 2\nTIMEOUT 5\nSET FORMAT json\nVERBOSE STATUS\n"

// Bounds of a report: a job of 16,384 ranks that are each in five communicators has 40 MB of it, and a word of it is short.
const (
	maxReport  = 64 << 20
	maxLine    = 4 << 10
	maxPreface = 16 // lines before the report
)

// Why there is no report.
var (
	ErrNothing  = errors.New("it closed the connection without an answer")
	ErrCutShort = errors.New("its answer was cut short")
	errTooLarge = fmt.Errorf("its answer is larger than %d MiB", maxReport>>20)
)

// Read reads the answer to [Request] until it ends. Of a report that is broken or cut short nothing is told but the error.
func Read(from io.Reader) (*facts.RAS, error) {
	l := &io.LimitedReader{R: from, N: maxReport}
	r := bufio.NewReaderSize(l, maxLine)
	out, err := read(r)
	if err != nil && l.N <= 0 {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func read(r *bufio.Reader) (*facts.RAS, error) {
	heard := false
	for range maxPreface {
		first, err := r.Peek(1)
		switch {
		case errors.Is(err, io.EOF) && !heard:
			return nil, ErrNothing
		case errors.Is(err, io.EOF):
			return nil, ErrCutShort
		case err != nil:
			return nil, err
		case first[0] == '{':
			return readJSON(r)
		}
		l, err := line(r)
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case strings.HasPrefix(l, versionWords):
			return readText(r, l)
		case l == "OK", l == "", strings.HasPrefix(l, "SERVER PROTOCOL "), strings.HasPrefix(l, "ERROR:"):
		default:
			return nil, fmt.Errorf("it is no NCCL RAS: it says %q", telemetry.Clean(l, 60))
		}
		heard = true
	}
	return nil, errors.New("it is no NCCL RAS: it answers line by line, and reports nothing")
}

// line reads a line without its end. Of one that is too long the rest is passed over. With the last words of a stream comes io.EOF.
func line(r *bufio.Reader) (string, error) {
	b, err := r.ReadSlice('\n')
	l := string(b)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	return strings.TrimRight(l, "\r\n"), err
}
