package fleet

import "foretop/telemetry"

// recoveries are what a driver asks for, as an order to a person, and how urgent that is.
var recoveries = [...]struct {
	says     string
	severity Severity
}{
	telemetry.RecoveryNone:          {"nothing to be done", Fine},
	telemetry.RecoveryGPUReset:      {"reset it", Critical},
	telemetry.RecoveryNodeReboot:    {"reboot the node", Critical},
	telemetry.RecoveryDrainP2P:      {"drain its traffic with peers", Warning},
	telemetry.RecoveryDrainAndReset: {"drain it, then reset it", Warning},
	telemetry.RecoveryIMEX:          {"recover its IMEX domain", Critical},
	telemetry.RecoveryBusReset:      {"reset its bus", Critical},
	telemetry.RecoverySystemReboot:  {"reboot the whole system", Critical},
}

// Recovery is the driver's own verdict on the GPU, in words; known is false where it gives none.
func (s *GPUSlow) Recovery() (says string, severity Severity, known bool) {
	switch a := s.RecoveryAction; {
	case a < 0:
		return "", Fine, false
	case a < len(recoveries):
		return recoveries[a].says, recoveries[a].severity, true
	}
	return "an action that this version does not know", Warning, true
}
