package jobs

import "strings"

// lsf reads what LSF gives a job (IBM Spectrum LSF, environment variables set for job execution). LSB_MCPU_HOSTS is "HOST SLOTS HOST SLOTS …".
func lsf(v *view) claim {
	id := v.env["LSB_JOBID"]
	if !allDigits(id) {
		return claim{}
	}
	if i := v.env["LSB_JOBINDEX"]; allDigits(i) && i != "0" {
		id += "[" + i + "]"
	}
	c := claim{ties: ties{strength: scheduledJob, scheduler: "lsf", job: "lsf/" + id, id: id, name: v.env["LSB_JOBNAME"], partition: v.env["LSB_QUEUE"]}}
	var hosts []string
	for i, w := range strings.Fields(v.env["LSB_MCPU_HOSTS"]) {
		if i%2 == 0 {
			hosts = append(hosts, w)
		}
	}
	c.hosts = strings.Join(hosts, ",")
	return c
}
