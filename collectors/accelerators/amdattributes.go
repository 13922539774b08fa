package accelerators

import "encoding/binary"

// attributeFields says which of our fields an attribute of gpu_metrics v1.9 is, and how many values of it there may be (enum amdgpu_metrics_attr_id).
var attributeFields = [...]struct {
	id    uint64
	field metricsField
	count int
}{
	{0, temperatureHotspot, 1}, {1, temperatureMem, 1}, {2, temperatureVRSoC, 1}, {3, socketPower, 1}, {4, gfxActivity, 1}, {5, umcActivity, 1},
	{7, energyAccumulator, 1}, {9, accumulationCounter, 1}, {10, prochotResidency, 1}, {11, pptResidency, 1}, {12, socketThermalResidency, 1},
	{13, vrThermalResidency, 1}, {14, hbmThermalResidency, 1}, {16, pcieLinkWidth, 1}, {17, pcieLinkSpeed, 1}, {18, xgmiLinkWidth, 1},
	{19, xgmiLinkSpeed, 1}, {24, pcieL0ToRecovery, 1}, {25, pcieReplays, 1}, {26, pcieReplayRollovers, 1}, {27, pcieNAKsSent, 1},
	{28, pcieNAKsReceived, 1}, {29, xgmiReadData, 8}, {30, xgmiWriteData, 8}, {31, xgmiLinkStatus, 8}, {33, currentGfxClk, 8}, {37, currentUClk, 1},
	{38, numPartition, 1},
}

const (
	attributesStart = 8 // after the header and an int32, how many attributes there are
	maxAttributes   = 1 << 10
)

// attributeSizes are the bytes of a value, by its type (enum amdgpu_metrics_attr_type: U8, S8, U16, …).
var attributeSizes = [...]int{1, 1, 2, 2, 4, 4, 8, 8}

// parseAttributes reads version 1.9: attributes one behind the other, unaligned, each a u64 that says what follows (the number of values in bits 0–9, what
// it is in 10–19, the values' type in 20–23) and the values. An attribute that is not known is skipped. A kernel may cut the file off at a page.
func parseAttributes(b []byte, m *gpuMetrics) error {
	if len(b) < attributesStart {
		return errMetricsShort
	}
	count := binary.LittleEndian.Uint32(b[metricsHeader:])
	b = b[attributesStart:]
	for n := uint32(0); n < min(count, maxAttributes) && len(b) >= 8; n++ {
		code := binary.LittleEndian.Uint64(b)
		b = b[8:]
		kind := code >> 20 & 0xf
		if kind >= uint64(len(attributeSizes)) {
			return nil // what it is long is not known, nor what comes behind
		}
		size, values := attributeSizes[kind], int(code&0x3ff)
		if len(b) < size*values {
			return nil
		}
		for _, f := range attributeFields {
			if f.id != code>>10&0x3ff {
				continue
			}
			for i := range min(values, f.count) {
				m[int(f.field)+i] = littleEndian(b[i*size:], size)
			}
		}
		b = b[size*values:]
	}
	return nil
}
