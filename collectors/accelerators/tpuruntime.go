package accelerators

import (
	"errors"
	"io"
	"math"
	"os"
	"syscall"
	"time"

	"foretop/telemetry"
)

// tpuRuntime asks the metric services of the runtimes that run on this machine: one a process, on the ports from 8431 on. The first one tells for all of
// them, unless it was told not to; only where it does not are the others asked.
type tpuRuntime struct {
	firstPort int // 8431; 0: none is asked, for the machine is played
	ports     []tpuPort
	columns   [tpuMetrics]tpuColumn
	samples   []tpuSample
	polled    int64
}

// tpuPort is one runtime's service.
type tpuPort struct {
	conn    *grpcConn
	next    int64 // when it may be asked again
	pause   int64 // ms until then, after a failure
	err     error // why the last asking failed; nil where it did not, or nothing listens
	answers bool
	unknown uint // metrics that it does not know, as bits
}

// tpuColumn is a metric's values, NaN where there is none: of chips, and of cores where it is told for those.
type tpuColumn struct {
	read        int64
	chip, cores []float64
}

// The metrics that are asked for, by their place in tpuAsked.
const (
	tpuUsage = iota
	tpuTotal
	tpuDuty
	tpuBandwidth
	tpuIdle
	tpuQueue
	tpuMetrics
)

// How the values of a chip's cores make one of the chip.
const (
	joinSum = iota
	joinMean
	joinLeast
)

// tpuAsked: the usage comes first, for it says how many devices there are.
var tpuAsked = [tpuMetrics]struct {
	name     string
	every    int64 // ms
	detail   bool  // only while somebody looks
	eachCore bool  // told of cores; otherwise it is of cores where there are as many as of the usage, and of chips where there are not
	join     int
}{
	tpuUsage:     {name: "tpu.runtime.hbm.memory.usage.bytes", every: tpuEvery, eachCore: true, join: joinSum},
	tpuTotal:     {name: "tpu.runtime.hbm.memory.total.bytes", every: 30_000, eachCore: true, join: joinSum},
	tpuDuty:      {name: "tpu.runtime.tensorcore.dutycycle.percent", every: tpuEvery, join: joinMean},
	tpuBandwidth: {name: "tpu.runtime.hbm.utilization.percent", every: tpuEvery, join: joinMean},
	tpuIdle:      {name: "tpu.runtime.tensorcore.idle_duration.seconds", every: 10_000, join: joinLeast},
	tpuQueue:     {name: "hlo.queue.size.gauge", every: tpuEvery, detail: true, eachCore: true, join: joinSum},
}

const (
	tpuFirstPort  = 8431
	tpuEvery      = 2_000   // ms
	tpuMaxPorts   = 8       // processes whose services are asked
	tpuRefused    = 5_000   // ms until a port where nothing listens is tried again
	tpuPauseLeast = 10_000  // and one that failed
	tpuPauseMost  = 300_000 // twice as long each time, up to this
)

func (t *tpuRuntime) close() {
	for i := range t.ports {
		t.ports[i].drop()
	}
	*t = tpuRuntime{firstPort: t.firstPort}
}

func (p *tpuPort) drop() {
	if p.conn != nil {
		p.conn.close()
		p.conn = nil
	}
	p.answers = false
}

func (t *tpuRuntime) answers() bool {
	for i := range t.ports {
		if t.ports[i].answers {
			return true
		}
	}
	return false
}

// failure is why a service that is there does not tell.
func (t *tpuRuntime) failure() error {
	for i := range t.ports {
		if t.ports[i].err != nil {
			return t.ports[i].err
		}
	}
	return nil
}

// poll asks for what is due, and says whether there is anything new, be it that there is nothing any more.
func (t *tpuRuntime) poll(now int64, detail bool, chips, cores int, holders []Holder) bool {
	if t.firstPort == 0 || !due(&t.polled, now, tpuEvery) {
		return false
	}
	began := t.answers()
	processes := processesOf(holders)
	want := min(max(len(processes), 1), tpuMaxPorts)
	for len(t.ports) < want {
		t.ports = append(t.ports, tpuPort{})
	}
	deadline := time.Now().Add(spend)
	var fresh [tpuMetrics]bool
	for i := range t.ports {
		if i >= want || i > 0 && t.tellsAll(chips*cores) {
			t.ports[i].drop()
			t.ports[i] = tpuPort{}
			continue
		}
		t.ask(i, now, detail, deadline, chips, cores, processes, &fresh)
	}
	if !t.answers() {
		t.columns = [tpuMetrics]tpuColumn{}
		return began
	}
	return true
}

// tellsAll says whether the first service tells of every device.
func (t *tpuRuntime) tellsAll(devices int) bool {
	n := 0
	for _, v := range t.columns[tpuUsage].cores {
		if !math.IsNaN(v) {
			n++
		}
	}
	return t.ports[0].answers && n >= devices
}

// ask asks one service for the metrics that are due. fresh are those that another service told of in this round already, so that both count.
func (t *tpuRuntime) ask(i int, now int64, detail bool, deadline time.Time, chips, cores int, processes []tpuProcess, fresh *[tpuMetrics]bool) {
	p := &t.ports[i]
	if now < p.next {
		return
	}
	usage := 0
	for m := range tpuAsked {
		a, col := &tpuAsked[m], &t.columns[m]
		if p.unknown&(1<<m) != 0 || a.detail && !detail || m != tpuUsage && !fresh[m] && col.read != 0 && now-col.read < a.every {
			continue
		}
		err := p.fetch(t.firstPort+i, m, deadline, &t.samples)
		var refused *grpcError
		if errors.As(err, &refused) {
			if refused.unknown() {
				p.unknown |= 1 << m // older runtimes do not know all of them, which is no fault
			}
			if m == tpuUsage {
				p.err = err
			}
			continue
		}
		if err != nil {
			p.fail(err, now)
			return
		}
		p.answers, p.pause = true, 0
		if m == tpuUsage {
			usage, p.err = len(t.samples), nil
		}
		if !fresh[m] {
			col.reset(chips, cores)
			fresh[m], col.read = true, now
		}
		col.put(t.samples, a.eachCore || len(t.samples) == usage, cores, chipPlaces(processes, i, chips, cores, usage))
	}
}

// fetch asks for one metric. A connection that the server closed in order, or that is gone since the last time, is opened anew once.
func (p *tpuPort) fetch(port, metric int, deadline time.Time, samples *[]tpuSample) error {
	for again := p.conn != nil; ; again = false {
		if p.conn == nil {
			conn, err := dialGRPC(port, tpuMethod, deadline)
			if err != nil {
				return err
			}
			p.conn, p.unknown = conn, 0
		}
		b, err := p.conn.call(tpuRequest(tpuAsked[metric].name), deadline)
		if err == nil {
			*samples, err = parseTPUMetric(b, *samples)
			return err
		}
		var refused *grpcError
		if errors.As(err, &refused) {
			return err
		}
		p.conn.close()
		p.conn = nil
		if !again || !time.Now().Before(deadline) {
			return err
		}
	}
}

// fail notes that a service could not be asked. That nothing listens is no failure: no workload runs.
func (p *tpuPort) fail(err error, now int64) {
	p.drop()
	if errors.Is(err, syscall.ECONNREFUSED) {
		p.err, p.pause, p.next = nil, 0, now+tpuRefused
		return
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, errLate):
		err = errLate
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		err = errors.New("it closes the connection")
	}
	p.err = err
	p.pause = min(max(2*p.pause, tpuPauseLeast), tpuPauseMost)
	p.next = now + p.pause
}

// tpuProcess is a process that holds chips.
type tpuProcess struct {
	pid   int32
	chips []uint32
}

// processesOf gathers holders by process, in the order of their first chips.
func processesOf(holders []Holder) (list []tpuProcess) {
	for _, h := range holders { // by pid, then chip
		if n := len(list); n == 0 || list[n-1].pid != h.PID {
			list = append(list, tpuProcess{pid: h.PID})
		}
		p := &list[len(list)-1]
		p.chips = append(p.chips, h.GPU)
	}
	// Few, and nearly in order: several processes are started one after the other, each with the next chip.
	for i := 1; i < len(list); i++ {
		for j := i; j > 0 && list[j].chips[0] < list[j-1].chips[0]; j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
	return list
}

// chipPlaces says which chip a service's device is. A process that holds some of the chips numbers its own from 0, and the i-th process has the i-th port; one
// that holds them all, or tells of more than it holds, numbers those of the machine.
func chipPlaces(processes []tpuProcess, i, chips, cores, devices int) func(device int64) int {
	var own []uint32
	if i < len(processes) && len(processes[i].chips) < chips && devices <= len(processes[i].chips)*cores {
		own = processes[i].chips
	}
	return func(chip int64) int {
		if int(chip) < len(own) {
			return int(own[chip])
		}
		return int(chip)
	}
}

func (c *tpuColumn) reset(chips, cores int) {
	c.chip, c.cores = resized(c.chip, chips), resized(c.cores, chips*cores)
}

func resized(v []float64, n int) []float64 {
	if len(v) != n {
		v = make([]float64, n)
	}
	for i := range v {
		v[i] = math.NaN()
	}
	return v
}

// put takes samples in. Several of one device are added up: a queue is told for each kind of core.
func (c *tpuColumn) put(samples []tpuSample, eachCore bool, cores int, place func(int64) int) {
	for _, s := range samples {
		to, at := c.chip, place(s.device)
		if eachCore {
			to, at = c.cores, place(s.device/int64(cores))*cores+int(s.device)%cores
		}
		if at >= len(to) {
			continue
		}
		if math.IsNaN(to[at]) {
			to[at] = 0
		}
		to[at] += s.value
	}
}

// of is a chip's value.
func (c *tpuColumn) of(chip, cores, join int) float64 {
	if chip >= len(c.chip) {
		return math.NaN()
	}
	if v := c.chip[chip]; !math.IsNaN(v) {
		return v
	}
	total, n := math.NaN(), 0
	for _, v := range c.cores[chip*cores : (chip+1)*cores] {
		switch {
		case math.IsNaN(v):
		case n == 0:
			total, n = v, 1
		case join == joinLeast:
			total = min(total, v)
		default:
			total, n = total+v, n+1
		}
	}
	if join == joinMean && n > 0 {
		total /= float64(n)
	}
	return total
}

// write sets the readings.
func (t *tpuRuntime) write(s *telemetry.State, chips []tpuChip, cores int) {
	for chip := range chips {
		told := false
		for m, to := range tpuReadings {
			v := t.columns[m].of(chip, cores, tpuAsked[m].join)
			told = told || !math.IsNaN(v)
			setFloat(s, to.metric, chip, v*to.times)
			for core := 0; cores > 1 && to.part != 0 && core < cores; core++ {
				v := math.NaN()
				if c := t.columns[m].cores; chip*cores+core < len(c) {
					v = c[chip*cores+core]
				}
				setFloat(s, to.part, chip*cores+core, v*to.times)
			}
		}
		switch {
		case chips[chip].pci.gone:
		case told:
			s.Set(telemetry.GPUStatus, chip, telemetry.GPUOK)
		default:
			s.Clear(telemetry.GPUStatus, chip) // nobody says that it is well
		}
	}
}

// tpuReadings is where the values go; part is 0 where cores have no such reading (telemetry's first metric is none of theirs).
var tpuReadings = [tpuMetrics]struct {
	metric, part telemetry.Metric
	times        float64
}{
	tpuUsage:     {telemetry.GPUMemUsedBytes, telemetry.PartMemUsedBytes, 1},
	tpuTotal:     {telemetry.GPUMemTotalBytes, telemetry.PartMemTotalBytes, 1},
	tpuDuty:      {telemetry.GPUUtilPct, telemetry.PartUtilPct, 1},
	tpuBandwidth: {telemetry.GPUMemUtilPct, 0, 1},
	tpuIdle:      {telemetry.GPUIdleMS, 0, 1000},
	tpuQueue:     {telemetry.GPUQueueSize, 0, 1},
}

// setFloat sets a reading, rounded; NaN makes it absent, and so does what no reading can be.
func setFloat(s *telemetry.State, m telemetry.Metric, entity int, v float64) {
	if math.IsNaN(v) || v < 0 || v > math.MaxInt64/2 {
		s.Clear(m, entity)
		return
	}
	s.Set(m, entity, int64(math.Round(v)))
}
