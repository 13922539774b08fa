package config

import (
	"fmt"
	"path"

	"foretop/jobs/layout"
)

// Layouts are parallel layouts given by hand, for jobs that do not say theirs, or say it wrongly. The first whose pattern fits a job's name holds.
type Layouts []Layout

// Layout is one of them.
type Layout struct {
	Job    string `yaml:"job"`    // a job's name as path.Match takes it: "llama3-*"
	Layout string `yaml:"layout"` // as layout.Parse takes it: "tp=8 pp=4 dp=16"
}

// Fits says whether a job of that name is meant.
func (l Layout) Fits(name string) bool {
	ok, err := path.Match(l.Job, name)
	return ok && err == nil
}

// Written is the layout as it was parsed. [Config.Validate] has seen to it that it can be.
func (l Layout) Written() (*layout.Written, error) { return layout.Parse(l.Layout) }

func (l Layouts) validate() error {
	for i, one := range l {
		key := fmt.Sprintf("layouts[%d]", i)
		if one.Job == "" {
			return wrong(key, `job is missing: write the jobs' name, or a pattern such as "llama3-*"`)
		}
		if _, err := path.Match(one.Job, ""); err != nil {
			return wrong(key+".job", "%q is no pattern: write a name with * and ? in it", one.Job)
		}
		if _, err := one.Written(); err != nil {
			return wrong(key+".layout", "%v", err)
		}
	}
	return nil
}
