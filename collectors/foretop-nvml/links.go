//go:build linux && cgo

package main

import (
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/telemetry"
)

// links are a GPU's NVLinks.
type links struct {
	count   int
	first   int      // entity of link 0 in telemetry.ScopeGPULink
	remote  [36]bool // what is at its other end is to be asked: the link came up. NVLink has at most that many
	wasUp   [36]bool
	anyUp   bool
	unknown uint32 // bits of linkFields that the driver or the GPU does not know
}

// linkField is a field that is asked for of each link, by its scope. NVLink up to 4 and NVLink 5 count under different numbers: what is not
// known is not asked for again. A metric that several have is the sum.
type linkField struct {
	id      uint32
	metric  telemetry.Metric
	times   int64
	traffic bool // bytes: asked for while somebody looks, and not with the slow ones
	instead int  // index of an entry which, when it is known, makes this one needless; -1: none
}

var linkFields = [...]linkField{
	{nvml.FI_DEV_NVLINK_GET_STATE, telemetry.LinkState, 1, false, -1},
	{nvml.FI_DEV_NVLINK_ERROR_DL_REPLAY, telemetry.LinkReplays, 1, false, -1},
	{nvml.FI_DEV_NVLINK_ERROR_DL_RECOVERY, telemetry.LinkRecoveries, 1, false, -1},
	{nvml.FI_DEV_NVLINK_ERROR_DL_CRC, telemetry.LinkCRCErrors, 1, false, -1},
	{nvml.FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS, telemetry.LinkRecoveries, 1, false, 2},
	{nvml.FI_DEV_NVLINK_GET_SPEED, telemetry.LinkSpeedMBps, 1, false, -1}, // from here on while somebody looks
	{nvml.FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS, telemetry.LinkRecoveryFailures, 1, false, -1},
	{nvml.FI_DEV_NVLINK_COUNT_MALFORMED_PACKET_ERRORS, telemetry.LinkRxErrors, 1, false, -1},
	{nvml.FI_DEV_NVLINK_COUNT_BUFFER_OVERRUN_ERRORS, telemetry.LinkRxErrors, 1, false, -1},
	{nvml.FI_DEV_NVLINK_COUNT_RCV_REMOTE_ERRORS, telemetry.LinkRxErrors, 1, false, -1},
	{nvml.FI_DEV_NVLINK_COUNT_RCV_GENERAL_ERRORS, telemetry.LinkRxErrors, 1, false, -1},
	{nvml.FI_DEV_NVLINK_COUNT_XMIT_DISCARDS, telemetry.LinkTxDiscards, 1, false, -1},
	{nvml.FI_DEV_NVLINK_COUNT_EFFECTIVE_ERRORS, telemetry.LinkEffectiveErrors, 1, false, -1},
	{nvml.FI_DEV_NVLINK_COUNT_SYMBOL_ERRORS, telemetry.LinkSymbolErrors, 1, false, -1},
	{nvml.FI_DEV_NVLINK_ECC_DATA_ERROR_COUNT_L0, telemetry.LinkECCErrors, 1, false, -1}, // a number of its own for each of the first twelve
	{nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_TX, telemetry.LinkTXBytes, 1024, true, -1},
	{nvml.FI_DEV_NVLINK_THROUGHPUT_DATA_RX, telemetry.LinkRXBytes, 1024, true, -1},
	{nvml.FI_DEV_NVLINK_COUNT_XMIT_BYTES, telemetry.LinkTXBytes, 1, true, 15},
	{nvml.FI_DEV_NVLINK_COUNT_RCV_BYTES, telemetry.LinkRXBytes, 1, true, 16},
}

const (
	stateField     = 0
	eccField       = 14
	baseLinkFields = 5   // what the sums of level Base are made of
	eccLinks       = 12  // links that have an ECC field
	mostFields     = 128 // in one call: it holds the driver's lock
)

// countLinks asks how many NVLinks a GPU has.
func (r *reader) countLinks(s *slot) int {
	ask := []nvml.FieldValue{{FieldId: nvml.FI_DEV_NVLINK_LINK_COUNT}}
	if !r.mayOnce(callFields, s.index) || s.dev.GetFieldValues(ask) != nvml.SUCCESS {
		return 0
	}
	n, ret := number(&ask[0])
	if ret != nvml.SUCCESS || n < 0 || n > int64(len(s.links.remote)) {
		return 0
	}
	return int(n)
}

// readLinks reads states and errors of all links, and sums them up for the GPU.
func (r *reader) readLinks(s *slot) {
	l := &s.links
	if l.count == 0 {
		return
	}
	last := baseLinkFields
	if r.detail {
		last = len(linkFields)
	}
	if !r.askKnownLinks(s, 0, last, false) {
		return
	}
	if l.unknown&(1<<stateField) != 0 {
		r.readStates(s)
	}
	up, known := int64(0), false
	for i := range l.count {
		state := r.state.Get(telemetry.LinkState, l.first+i)
		known = known || state != telemetry.Absent
		if state == telemetry.LinkUp {
			up++
			l.remote[i] = l.remote[i] || !l.wasUp[i]
		}
		l.wasUp[i] = state == telemetry.LinkUp
	}
	r.state.Set(telemetry.GPULinks, s.index, int64(l.count))
	r.state.Clear(telemetry.GPULinksUp, s.index)
	if known {
		r.state.Set(telemetry.GPULinksUp, s.index, up)
	}
	r.sumLinks(s, telemetry.LinkReplays, telemetry.GPUNVLinkReplays)
	r.sumLinks(s, telemetry.LinkRecoveries, telemetry.GPUNVLinkRecoveries)
	r.sumLinks(s, telemetry.LinkCRCErrors, telemetry.GPUNVLinkCRCErrors)
}

// readLinkTraffic reads the bytes of each link, and where the driver has no sum of them, sums them up.
func (r *reader) readLinkTraffic(s *slot) {
	if s.links.count == 0 || !r.askKnownLinks(s, baseLinkFields, len(linkFields), true) {
		return
	}
	if s.noFast&(1<<fastLinkTX) != 0 {
		r.sumLinks(s, telemetry.LinkTXBytes, telemetry.GPUNVLinkTXBytes)
		r.sumLinks(s, telemetry.LinkRXBytes, telemetry.GPUNVLinkRXBytes)
	}
	r.state.Set(telemetry.ReadMS, int(telemetry.GroupGPULinks), monotonicMS())
}

// sumLinks tells the sum of a metric over the links that have it. Where none has, what another question told stays.
func (r *reader) sumLinks(s *slot, of, to telemetry.Metric) {
	sum, any := int64(0), false
	for i := range s.links.count {
		if v := r.state.Get(of, s.links.first+i); v != telemetry.Absent {
			sum, any = sum+v, true
		}
	}
	if any {
		r.state.Set(to, s.index, sum)
	}
}

// askKnownLinks is askLinks, and once more when that showed that other fields are to be asked for in the place of some.
func (r *reader) askKnownLinks(s *slot, first, last int, traffic bool) bool {
	before := s.links.unknown
	return r.askLinks(s, first, last, traffic) && (s.links.unknown == before || r.askLinks(s, first, last, traffic))
}

// askLinks asks for the fields from first up to last that are known, of all links, in as many calls as it takes. False: the GPU does not answer.
func (r *reader) askLinks(s *slot, first, last int, traffic bool) bool {
	l := &s.links
	r.fields, r.which = r.fields[:0], r.which[:0]
	for f := first; f < last; f++ {
		lf := &linkFields[f]
		if lf.traffic != traffic || l.unknown&(1<<f) != 0 || lf.instead >= 0 && l.unknown&(1<<lf.instead) == 0 {
			continue
		}
		for i := range l.count {
			ask := nvml.FieldValue{FieldId: lf.id, ScopeId: uint32(i)}
			if f == eccField {
				if i >= eccLinks {
					break
				}
				ask = nvml.FieldValue{FieldId: lf.id + uint32(i)}
			}
			r.fields, r.which = append(r.fields, ask), append(r.which, f<<8|i)
			r.state.Clear(lf.metric, l.first+i)
		}
	}
	for at := 0; at < len(r.fields); at += mostFields {
		if !r.may(s, callFields) || !r.took(s, callFields, s.dev.GetFieldValues(r.fields[at:min(at+mostFields, len(r.fields))])) {
			return false
		}
	}
	known, refused := uint32(0), uint32(0)
	for k, w := range r.which {
		f, entity := w>>8, l.first+w&0xff
		lf := &linkFields[f]
		v, ret := number(&r.fields[k])
		switch ret {
		case nvml.SUCCESS:
			known |= 1 << f
			if f == stateField {
				v = linkState(v)
			}
			r.state.Set(lf.metric, entity, v*lf.times+max(r.state.Get(lf.metric, entity), 0))
		case nvml.ERROR_GPU_IS_LOST:
			s.wrong = ret
			return false
		case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_INVALID_ARGUMENT:
			refused |= 1 << f
		}
	}
	refused &^= known
	l.unknown |= refused & (1 << stateField)
	if known&(1<<stateField) != 0 {
		l.anyUp = r.anyUp(s)
	}
	if l.anyUp { // a link that is down has no counters: that all refuse one says nothing before
		l.unknown |= refused
	}
	return true
}

func linkState(nvmlState int64) int64 {
	switch nvmlState {
	case 1: // NVML_NVLINK_STATE_ACTIVE
		return telemetry.LinkUp
	case 2: // NVML_NVLINK_STATE_SLEEP
		return telemetry.LinkSleep
	}
	return telemetry.LinkDown // inactive, or active and not usable for traffic
}

func (r *reader) anyUp(s *slot) bool {
	for i := range s.links.count {
		if r.state.Get(telemetry.LinkState, s.links.first+i) == telemetry.LinkUp {
			return true
		}
	}
	return false
}

// readStates asks link by link, where the driver has no field for it.
func (r *reader) readStates(s *slot) {
	for i := range s.links.count {
		if !r.may(s, callLinkState) {
			return
		}
		v, ret := s.dev.GetNvLinkState(i)
		if ret == nvml.ERROR_INVALID_ARGUMENT {
			ret = nvml.ERROR_NO_DATA // of this link only
		}
		if r.took(s, callLinkState, ret) {
			r.state.Set(telemetry.LinkState, s.links.first+i, int64(v))
		} else {
			r.state.Clear(telemetry.LinkState, s.links.first+i)
		}
	}
	s.links.anyUp = r.anyUp(s)
}

// askRemotes asks what is at the other ends of links that came up, once: three questions a link, so only so many a round.
func (r *reader) askRemotes() {
	began := time.Now()
	for _, s := range r.slots {
		for i := range s.links.count {
			if !s.links.remote[i] || !r.isWell(s) {
				continue
			}
			if time.Since(began) > remotesPerRound {
				return
			}
			s.links.remote[i] = false
			r.askRemote(s, i)
		}
	}
}

const remotesPerRound = 50 * time.Millisecond

func (r *reader) askRemote(s *slot, i int) {
	l := &r.inv.Links[s.links.first+i]
	if first := r.inv.Links[s.links.first].Version; first > 0 {
		l.Version = first // all links of a GPU are of one kind
	} else if r.mayOnce(callLinkVersion, s.index) {
		if v, ret := s.dev.GetNvLinkVersion(i); ret == nvml.SUCCESS && v < 100 {
			l.Version = int(v)
		}
	}
	if r.mayOnce(callLinkType, s.index) {
		if t, ret := s.dev.GetNvLinkRemoteDeviceType(i); ret == nvml.SUCCESS {
			l.Remote = remotes[t]
		}
	}
	if r.mayOnce(callLinkPCI, s.index) {
		if p, ret := s.dev.GetNvLinkRemotePciInfo(i); ret == nvml.SUCCESS {
			l.RemotePCI = pciAddress(&p)
		}
	}
}

var remotes = map[nvml.IntNvLinkDeviceType]string{nvml.NVLINK_DEVICE_TYPE_GPU: "gpu", nvml.NVLINK_DEVICE_TYPE_SWITCH: "switch", nvml.NVLINK_DEVICE_TYPE_IBMNPU: "cpu"}
