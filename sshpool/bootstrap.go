package sshpool

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"foretop/sshpool/payload"
	"foretop/telemetry"
)

// The scripts below run under the user's login shell as one exec request: `exec /bin/sh -c '…'`. The line must be read alike by sh, bash,
// zsh, ksh, busybox, fish and tcsh, hence: no newline, no '!', no single quote inside, no backslash. What they print is text for scanStart.

// DefaultFolders are where the collector may live on a node, in order: node-local places that survive a logout, then those that do not.
// They are shell words; $u is the user's number.
func DefaultFolders() []string {
	return []string{"/var/tmp/foretop-$u", "${XDG_RUNTIME_DIR:-/nonexistent}/foretop", "/dev/shm/foretop-$u", "/tmp/foretop-$u"}
}

// DefaultShared is where an upload goes first, because many nodes may see it (an NFS home): each node then copies the collector
// to a folder of its own, and never runs from there unless nothing else can execute.
const DefaultShared = "${XDG_CACHE_HOME:-$HOME/.cache}/foretop"

// bootstrap makes the scripts of one pool.
type bootstrap struct {
	folders []string
	shared  string
	bundles []*payload.Bundle
	home    time.Duration // how long a look into the shared folder may take
	told    bool          // the start script says what it finds on its way: see tracedeploy.go
}

// homeSeconds is home as sleep takes it everywhere: whole seconds, at least one.
func (b *bootstrap) homeSeconds() int { return max(1, int(b.home/time.Second)) }

// common are the functions that both scripts use. They leave the home folder first: it may hang (a dead file server).
//
//	say WORD…            a line for us
//	safe DIR             nobody but root and we can put another in its place: each folder above it is root's or ours (nobody's, as root looks in a user namespace), and not
//	                     open to others, or sticky. What was checked below DIR then stays so until it is run
//	own DIR              is a folder of ours alone: a real one (no link), 0700, owned by us, and safe
//	mk DIR               makes it so, or fails
//	sum FILE SHA SIZE    is ours and has that content (size only where there is no sha256sum)
//	runs FILE ARGS       can be executed here: run with its input at an end, it must start
//	can DIR              files made there may be executed (access(2) says no on noexec mounts). The file is empty, because a full disk is another
//	                     trouble; and its name is this start's own: nodes that share the folder look at the same time, often under the same pid
//	prune DIR            old programs of ours go: all but the newest two, when older than 30 days; and forgotten temporary files
//
// set -C makes each > that creates a file O_EXCL: it never follows a link, nor writes into what is there.
const common = `cd /;LC_ALL=C;export LC_ALL;umask 077;set -fC;u=$(id -u);` +
	`say(){ echo "FORETOP-$*";};` +
	`safe()(d=$1;set --;while [ -n "$d" ];do d=${d%/*};set -- "$@" "$d/.";done;l=$(ls -ldn "$@" 2>/dev/null)||exit 1;` +
	`echo "$l"|while read m x o y;do case $m-$o in d????????[tT]*-0|d????????[tT]*-$u|d????????[tT]*-65534|d????-??-*-0|d????-??-*-$u|d????-??-*-65534);;*)exit 1;;esac;done);` +
	`own(){ case $(ls -ld "$1" 2>/dev/null) in drwx------*)[ -O "$1" ]&&safe "$1";;*)false;;esac;};` +
	`mk(){ [ -d "$1" ]||mkdir -p "$1" 2>/dev/null;own "$1";};` +
	`sum(){ [ -f "$1" ]&&[ -O "$1" ]||return 1;if command -v sha256sum >/dev/null 2>&1;then set -- $2 $(sha256sum <"$1");[ "$1" = "$2" ];else [ $(wc -c <"$1") -eq $3 ];fi;};` +
	`runs(){ o=;command -v timeout >/dev/null 2>&1&&o="timeout 10";FORETOP_NONCE= FORETOP_PROBE=1 $o "$@" </dev/null >/dev/null 2>&1;[ $? -lt 126 ];};` +
	`can(){ t="$1/.x.$$.$FORETOP_NONCE";{ true >"$t";} 2>/dev/null&&chmod 700 "$t"&&[ -x "$t" ];set -- $?;rm -f "$t";return $1;};` +
	`prune(){ for o in c n;do ls -t "$1"|grep "^$o-"|tail -n +3|while read l;do find "$1/$l" -mtime +30 -exec rm -f {} ";";done;done;` +
	`for o in up x i;do find "$1" -name ".$o.*" -mtime +1 -exec rm -f {} ";";done;};`

// start is the script of the one round trip: it runs the collector where it lies, checked; or copies it from the shared folder and runs it;
// or says what is needed. proven makes it try each copy before trusting it; skip are folders (indices) that failed before.
func (b *bootstrap) start(nonce string, proven bool, skip []int) string {
	var s strings.Builder
	s.WriteString(telemetry.NonceVar + "=" + nonce + ";export " + telemetry.NonceVar + ";" + common)
	s.WriteString(b.tells(`say SHELL ` + nonce + ` "$SHELL";`))
	s.WriteString(b.platforms())
	s.WriteString(`[ -n "$c" ]||{ say NEED ` + nonce + ` $s $m none;exit 0;};`)
	s.WriteString(`v=0;if [ -n "$r" ];then if [ -e /proc/driver/nvidia/version ]||[ -e /dev/nvidiactl ]||[ -n "$FORETOP_PLAY_NVIDIA" ];then v=1;fi;fi;`)
	s.WriteString(`p=` + digit(proven) + `;`)
	// all DIR: the programs that this node needs lie there, unharmed. ok DIR: and may be run there. go DIR: becomes the collector.
	s.WriteString(`all(){ sum "$1/c-$c" $c $z&&{ [ $v = 0 ]||sum "$1/n-$r" $r $y;};};`)
	s.WriteString(`ok(){ [ -x "$1/c-$c" ]&&own "$1"&&all "$1"&&{ [ $p = 0 ]||runs "$1/c-$c" $a;};};`)
	s.WriteString(b.tells(`at(){ say AT ` + nonce + ` $*;};why(){ if [ -L "$1" ];then w=link;elif [ -d "$1" ];then if own "$1";then w=empty;if [ -e "$1/c-$c" ];then w=damaged;[ -x "$1/c-$c" ]||w=noexec;all "$1"&&[ $w = damaged ]&&w=has;fi;else w=others;safe "$1"||w=open;fi;else return;fi;at $w "$1";};`))
	s.WriteString(`go(){ ` + b.tells(`say GO `+nonce+` "$1";`) + `if [ $v = 1 ];then FORETOP_NVML="$1/n-$r";export FORETOP_NVML;fi;{ echo 1000 >|/proc/$$/oom_score_adj;} 2>/dev/null;` +
		`command -v nice >/dev/null 2>&1&&exec nice -n 10 "$1/c-$c" $a;exec "$1/c-$c" $a;};`)
	fmt.Fprintf(&s, `for d in %s;do %sok "$d"&&go "$d";done;`, b.words(), b.tells(`why "$d";`))
	// Nothing to run here yet. The shared folder gets a mark, by which nodes that share it are known. look: 0 when it is usable and all is
	// there, 3 when it is usable. It runs beside, for a time, and without our output: a home that hangs must not hold the node up.
	fmt.Fprintf(&s, `h="%s";look(){ [ -n "$HOME" ]&&{ mk "$h"||{ [ -O "$h" ]&&case $(ls -ld "$h") in d*)chmod 700 "$h"&&own "$h";;*)false;;esac;};}&&{ `+
		`[ -f "$h/.id" ]||{ t="$h/.i.$$.%s";echo %s$$ >"$t"&&ln "$t" "$h/.id";rm -f "$t";};[ -s "$h/.id" ];}||return 1;all "$h"||return 3;};`, b.shared, nonce, nonce)
	// The numbers of its processes come from /proc/self, not from the shell's dollar and exclamation mark, which csh may take for history.
	fmt.Fprintf(&s, `k=-;{ (read l x </proc/self/stat;e=$({ read p x </proc/self/stat;echo $p;exec >/dev/null;sleep %d;kill -9 $l;} &);look;j=$?;kill $e;exit $j) >/dev/null;`+
		`j=$?;case $j in 0|3)read k <"$h/.id";;esac;} 2>/dev/null;`, b.homeSeconds())
	s.WriteString(b.tells(`say HOME ` + nonce + ` $j;`))
	// cp1 DIR NAME SHA SIZE: one program from the shared folder into DIR, whole or not at all.
	s.WriteString(`cp1(){ sum "$1/$2-$3" $3 $4||{ t="$1/.up.$$.$FORETOP_NONCE";cat "$h/$2-$3" 2>/dev/null >"$t"&&chmod 500 "$t"&&sum "$t" $3 $4&&mv -f "$t" "$1/$2-$3"||{ rm -f "$t";false;};};};`)
	fmt.Fprintf(&s, `if [ $j = 0 ];then p=1;for d in %s;do mk "$d"&&can "$d"&&cp1 "$d" c $c $z&&{ [ $v = 0 ]||cp1 "$d" n $r $y;}&&ok "$d"&&{ prune "$d" 2>/dev/null;go "$d";};done;ok "$h"&&go "$h";fi;`, b.words())
	fmt.Fprintf(&s, `q=denied;i=0;w=-;for d in %s;do case " %s " in *" $i "*);;*)if mk "$d";then if can "$d";then w=$i;%sbreak;fi;q=noexec;%s%sfi;;esac;i=$((i+1));done;`, b.words(), ints(skip), b.tells(`at usable "$d";`), b.tells(`at noexec "$d";`), b.tells(`else at denied "$d";`))
	s.WriteString(`g=0;command -v gzip >/dev/null 2>&1&&g=1;if [ "$w$k" = -- ];then :;elif [ "$w" = - ];then if can "$h";then w=h;else q=noexec;fi;fi;if [ "$w" = - ];then say FAIL ` + nonce + ` $q;else say NEED ` + nonce + ` $s $m at=$w home=$k gz=$g nv=$v;fi`)
	return wrap(s.String())
}

// platforms sets c to the collector's sum, z to its size, a to its arguments, r and y to the reader's sum and size: what is for this system; c is empty where nothing is.
func (b *bootstrap) platforms() string {
	var s strings.Builder
	s.WriteString(`set -- $(uname -sm);s=$1;m=$2;c=;r=;a=;case $s-$m in `)
	for _, bundle := range b.bundles {
		system, machines := bundle.Platform.Uname()
		for i, m := range machines {
			if i > 0 {
				s.WriteString("|")
			}
			s.WriteString(system + "-" + m)
		}
		fmt.Fprintf(&s, `)c=%s;z=%d;a="%s";`, bundle.Collector.SHA256, bundle.Collector.Size, bundle.Args)
		if bundle.Reader != nil {
			fmt.Fprintf(&s, "r=%s;y=%d;", bundle.Reader.SHA256, bundle.Reader.Size)
		}
		s.WriteString(";")
	}
	s.WriteString(`esac;`)
	return s.String()
}

// upload is the script that takes one program from its stdin, to end of file, into a folder: under a name of its own until its
// checksum is right. run tells that it will be executed there. folder -1 is the shared one.
func (b *bootstrap) upload(nonce string, folder int, prefix string, f *payload.File, args string, gz, run bool) string {
	dir := b.shared
	if folder >= 0 {
		dir = b.folders[folder]
	}
	reader := "cat"
	if gz {
		reader = "gzip -dc"
	}
	var s strings.Builder
	s.WriteString(telemetry.NonceVar + "=" + nonce + ";" + common)
	fmt.Fprintf(&s, `d="%s";f="$d/%s-%s";t="$d/.up.$$.%s";`, dir, prefix, f.SHA256, nonce)
	fmt.Fprintf(&s, `bad(){ rm -f "$t";say FAIL %s $*;exit 1;};`, nonce)
	fmt.Fprintf(&s, `mk "$d"||bad denied $d;if sum "$f" %s %d;then say DONE %s;exit 0;fi;`, f.SHA256, f.Size, nonce)
	fmt.Fprintf(&s, `e=$( { %s >"$t";} 2>&1 )||case $e in *space*|*uota*)bad full $d;;*)bad write $d: $e;;esac;`, reader)
	fmt.Fprintf(&s, `chmod 500 "$t"||bad write $d;sum "$t" %s %d||bad checksum $d;`, f.SHA256, f.Size)
	if run {
		fmt.Fprintf(&s, `[ -x "$t" ]&&runs "$t" %s||bad noexec $d;`, args)
	}
	fmt.Fprintf(&s, `mv -f "$t" "$f" 2>/dev/null||bad write $d;prune "$d" 2>/dev/null;say DONE %s`, nonce)
	return wrap(s.String())
}

// tells gives what a script says beside its start line, where somebody looks.
func (b *bootstrap) tells(words string) string {
	if b.told {
		return words
	}
	return ""
}

func wrap(script string) string { return "exec /bin/sh -c '" + script + "'" }

func (b *bootstrap) words() string { return `"` + strings.Join(b.folders, `" "`) + `"` }

func digit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func ints(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, " ")
}
