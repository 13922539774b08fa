package accelerators

import "fmt"

const (
	vendorAMD   = 0x1002
	vendorIntel = 0x8086
)

// model is what is known of a device by its PCI numbers alone (pci.ids).
type model struct {
	vendor, device uint64
	name           string
	architecture   string
}

// models are the accelerators; of other cards the maker's number is told. MI250 and MI250X share one number.
var models = [...]model{
	{vendorAMD, 0x738c, "AMD Instinct MI100", "CDNA"},
	{vendorAMD, 0x738e, "AMD Instinct MI100", "CDNA"},
	{vendorAMD, 0x7408, "AMD Instinct MI250X", "CDNA2"},
	{vendorAMD, 0x740c, "AMD Instinct MI250X/MI250", "CDNA2"},
	{vendorAMD, 0x740f, "AMD Instinct MI210", "CDNA2"},
	{vendorAMD, 0x7410, "AMD Instinct MI210 VF", "CDNA2"},
	{vendorAMD, 0x74a0, "AMD Instinct MI300A", "CDNA3"},
	{vendorAMD, 0x74a1, "AMD Instinct MI300X", "CDNA3"},
	{vendorAMD, 0x74a2, "AMD Instinct MI308X", "CDNA3"},
	{vendorAMD, 0x74a5, "AMD Instinct MI325X", "CDNA3"},
	{vendorAMD, 0x74a8, "AMD Instinct MI308X HF", "CDNA3"},
	{vendorAMD, 0x74a9, "AMD Instinct MI300X HF", "CDNA3"},
	{vendorAMD, 0x74b5, "AMD Instinct MI300X VF", "CDNA3"},
	{vendorAMD, 0x74b9, "AMD Instinct MI325X VF", "CDNA3"},
	{vendorAMD, 0x75a0, "AMD Instinct MI350X", "CDNA4"},
	{vendorAMD, 0x75a3, "AMD Instinct MI355X", "CDNA4"},
	{vendorIntel, 0x0b69, "Intel Data Center GPU Max 1450", "Xe-HPC"},
	{vendorIntel, 0x0bd5, "Intel Data Center GPU Max 1550", "Xe-HPC"},
	{vendorIntel, 0x0bd6, "Intel Data Center GPU Max 1550", "Xe-HPC"},
	{vendorIntel, 0x0bd9, "Intel Data Center GPU Max 1100", "Xe-HPC"},
	{vendorIntel, 0x0bda, "Intel Data Center GPU Max 1100", "Xe-HPC"},
	{vendorIntel, 0x0bdb, "Intel Data Center GPU Max 1100", "Xe-HPC"},
	{vendorIntel, 0x56c0, "Intel Data Center GPU Flex 170", "Xe-HPG"},
	{vendorIntel, 0x56c1, "Intel Data Center GPU Flex 140", "Xe-HPG"},
	{vendorIntel, 0x56a0, "Intel Arc A770", "Xe-HPG"},
	{vendorIntel, 0x56a1, "Intel Arc A750", "Xe-HPG"},
	{vendorIntel, 0xe20b, "Intel Arc B580", "Xe2"},
	{vendorIntel, 0xe20c, "Intel Arc B570", "Xe2"},
	{vendorIntel, 0xe211, "Intel Arc Pro B60", "Xe2"},
	{vendorIntel, 0xe212, "Intel Arc Pro B50", "Xe2"},
}

// modelOf names a card by its PCI numbers.
func modelOf(p pciIdentity) (name, architecture string) {
	for _, m := range models {
		if m.vendor == p.vendor && m.device == p.device {
			return m.name, m.architecture
		}
	}
	switch p.vendor {
	case vendorAMD:
		return fmt.Sprintf("AMD GPU %04x", p.device), ""
	case vendorIntel:
		return fmt.Sprintf("Intel GPU %04x", p.device), ""
	}
	return fmt.Sprintf("GPU %04x:%04x", p.vendor, p.device), ""
}
