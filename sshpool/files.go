package sshpool

import "fmt"

// filesOwn are what this program itself has open, shells and commands included.
const filesOwn = 64

// Files says in words that so many nodes need more open files than this program may have, and what to do; "" when they fit, or when it is not known. A node that is reached directly takes
// one, so this is the most that may be needed: those behind jump hosts share a few.
func Files(nodes int) string {
	limit, known := filesLimit()
	if !known || filesRoom(limit) >= nodes {
		return ""
	}
	return fmt.Sprintf("%d nodes are more than fit: this program may open %d files, one for each node that is reached directly, so about %d fit; %s", nodes, limit, filesRoom(limit), filesRemedy())
}

// filesRoom is how many nodes fit.
func filesRoom(limit int) int { return limit - min(filesOwn, limit/2) }

func filesRemedy() string {
	return "raise the hard limit on open files and start foretop anew: `ulimit -Hn` tells it; it is set in /etc/security/limits.conf (nofile) or a service's LimitNOFILE"
}
