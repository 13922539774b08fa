package jobs

import "strings"

// deepspeed reads the command line of DeepSpeed's launcher on a node: it holds every host of the run and the accelerators used there.
func deepspeed(v *view) claim {
	if !strings.Contains(v.p.GetCommand(), "deepspeed.launcher.launch") {
		return claim{}
	}
	o := options(v.p.GetCommand(), "world-info", "master-addr", "master-port")
	hosts, world := parseWorldInfo(o["world-info"])
	c := claim{ties: ties{framework: "deepspeed", hosts: strings.Join(hosts, ","), hostsN: len(hosts), expect: world}}
	if o["master-addr"] != "" {
		port := o["master-port"]
		if port == "" {
			port = "29500"
		}
		c.ofRun(v, "", o["master-addr"], port)
	}
	return c
}
