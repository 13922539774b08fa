package cli

import (
	"foretop/config"
	"foretop/fleet"
)

// layoutRules are the configuration's layouts by job name, as the fleet takes them. They were checked when they were read.
func layoutRules(cfg config.Config) []fleet.LayoutRule {
	var rules []fleet.LayoutRule
	for _, l := range cfg.Layouts {
		if w, err := l.Written(); err == nil {
			rules = append(rules, fleet.LayoutRule{Job: l.Fits, Layout: w})
		}
	}
	return rules
}
