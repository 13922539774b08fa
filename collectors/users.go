package collectors

import (
	"bytes"
	"context"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

const (
	maxUserName = 64
	maxUsers    = 512
	getentLimit = 3 * time.Second
)

// users gives names to user numbers: from /etc/passwd, and where a directory service knows more (LDAP, SSSD) from getent, asked once a number and never waited for.
type users struct {
	root  kernfs.Root
	mu    sync.Mutex
	names map[uint32]string
	busy  bool
}

func newUsers(root kernfs.Root) *users {
	u := &users{root: root, names: map[uint32]string{}}
	if b, err := root.Read("etc/passwd", nil); err == nil {
		parsePasswd(b, u.names)
	}
	return u
}

// name is empty while it is not known.
func (u *users) name(uid uint32) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	name, asked := u.names[uid]
	if asked || u.busy || len(u.names) >= maxUsers || !u.root.Real() {
		return name
	}
	u.names[uid] = ""
	u.busy = true
	go u.ask(uid)
	return ""
}

func (u *users) ask(uid uint32) {
	ctx, cancel := context.WithTimeout(context.Background(), getentLimit)
	defer cancel()
	c := exec.CommandContext(ctx, "getent", "passwd", strconv.FormatUint(uint64(uid), 10))
	c.Dir = "/"
	c.WaitDelay = time.Second
	detach(c)
	out, err := c.Output()
	found := map[uint32]string{}
	if err == nil && len(out) < 4<<10 {
		parsePasswd(out, found)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.busy = false
	u.names[uid] = found[uid]
}

// parsePasswd reads name:x:uid:… lines (passwd(5)).
func parsePasswd(b []byte, names map[uint32]string) {
	for len(b) > 0 && len(names) < maxUsers {
		var l []byte
		l, b = kernfs.Line(b)
		name, rest, _ := bytes.Cut(l, []byte{':'})
		_, rest, _ = bytes.Cut(rest, []byte{':'})
		number, _, ok := bytes.Cut(rest, []byte{':'})
		uid, isNumber := kernfs.ParseUint(number)
		if !ok || !isNumber || uid > 1<<32-1 || len(name) == 0 {
			continue
		}
		if _, twice := names[uint32(uid)]; !twice {
			names[uint32(uid)] = telemetry.Clean(string(name), maxUserName)
		}
	}
}
