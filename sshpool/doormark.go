package sshpool

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// markVar is set for a command behind a door that may have to be stopped. No signal goes through a door, and a command whose caller is gone is not told (a shell would stay on its terminal for
// ever): so another command looks for those that have the mark.
const markVar = "FORETOP_RUN"

// mark is by what a command is found again; no nonce: by nothing.
type mark struct {
	c     *doorCarrier
	nonce string
}

// command is a command line that has the mark, for /bin/sh.
func (m mark) command(line string) string {
	if m.nonce == "" {
		return line
	}
	return markVar + "=" + m.nonce + ";export " + markVar + ";exec /bin/sh -c " + quote(line)
}

// Limits of telling a command to stop.
const (
	tellTime  = 5 * time.Second  // a try
	tellTries = 30 * time.Second // all, where the command cannot be found out about
)

// tellMarked signals the processes that have a mark in their environment. A HUP goes where a terminal that is gone sends one: to who leads the session (the one whose parent has no mark), and to
// the terminal's foreground.
const tellMarked = `l=$(grep -ls "` + markVar + `=$1" /proc/[0-9]*/environ 2>/dev/null);a=" ";set -f
for f in $l;do f=${f#/proc/};a="$a${f%/environ} ";done
for p in $a;do
if [ "$2" = HUP ];then
x=$(cat /proc/$p/stat 2>/dev/null)||continue;set -- "$1" "$2" ${x##*)}
case $a in *" $4 "*)continue;;esac
[ "${8:-0}" -gt 1 ]&&kill -HUP -- "-$8" 2>/dev/null
fi
kill -s "$2" $p 2>/dev/null
done;exit 0`

// tell sends a signal to what has the mark, once.
func (m mark) tell(ctx context.Context, signal string) error {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	exit, err := m.c.door.Run(ctx, m.c.node, "set -- "+m.nonce+" "+signal+"\n"+tellMarked, eof{}, io.Discard, io.Discard)
	if err == nil && exit != 0 {
		err = fmt.Errorf("exit %d", exit)
	}
	return err
}

// tellLater sends it as soon as the door lets it through: the door, too, may just have been lost.
func (m mark) tellLater(signal string) {
	ctx, cancel := context.WithTimeout(context.Background(), tellTries)
	defer cancel()
	for pause := time.Second; m.tell(ctx, signal) != nil && sleep(ctx, pause) == nil; pause *= 2 {
	}
}

// login sets for a shell behind a door what sshd would: the terminal and the language, and who the account is.
func (t *Term) login() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t.Env)) {
		b.WriteString(name + "=" + quote(t.Env[name]) + ";export " + name + ";")
	}
	b.WriteString("TERM=" + quote(t.Type) + ";export TERM;" + account)
	return b.String()
}

// account reads passwd, where there is one. A shell that lets nobody in is not asked: who is here is let in by the door.
const account = `u=$(id -u);while IFS=: read -r n x i g c h s;do if [ "$i" = "$u" ];then USER=$n;LOGNAME=$n;HOME=$h;SHELL=$s;break;fi;done 2>/dev/null </etc/passwd;` +
	`case $SHELL in */nologin|*/false)SHELL=;;esac;[ -x "$SHELL" ]||SHELL=/bin/sh;[ -d "$HOME" ]||HOME=/;export USER LOGNAME HOME SHELL;cd "$HOME";`
