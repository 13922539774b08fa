package cli

import (
	"os"
	"path/filepath"
	"time"

	"foretop/config"
	"foretop/findings"
	"foretop/fleet"
	"foretop/recording"
	"foretop/sshpool"
	"foretop/ui"
)

// blackBox records what a station takes in: in memory always, what lies around critical findings on disk where that is asked for, and into a file where one is named.
type blackBox struct {
	*recording.Recorder
	saver  *recording.Saver  // nil: nothing is saved by itself
	writer *recording.Writer // nil: there is no file
}

// newBlackBox makes one, to be given to a fleet's options as its tap. file and save may be nil and false; saved is told each file that was saved by itself.
func newBlackBox(cfg config.Config, file *recording.Writer, save bool, title string, saved func(path string, err error)) *blackBox {
	b := &blackBox{writer: file}
	opt := recording.Options{Budget: recordingBudget(cfg.Recording), Found: b.found}
	if file != nil {
		opt.Write = file.Write
	}
	b.Recorder = recording.New(opt)
	if save || cfg.Recording.Findings {
		b.saver = recording.NewSaver(recording.SaverOptions{
			Recorder: b.Recorder, Folder: savedFolder(cfg.Recording), About: recording.About{Title: title, Version: version()},
			Files: cfg.Recording.Files(), Bytes: cfg.Recording.Bytes(), Saved: saved,
		})
	}
	return b
}

// openRecorded is openStation of a fleet that a black box records; box may be nil.
func openRecorded(cfg config.Config, box *blackBox, opt fleet.Options, ssh sshpool.Config, targets []sshpool.Target) *station {
	if box == nil {
		return openStation(opt, ssh, targets)
	}
	opt.Tap = box.Recorder
	s := openStation(opt, ssh, targets)
	s.box, s.past = box, screenPast{box.Past(s.Fleet, replayOf(cfg, opt.IdleAfter))}
	return s
}

// recordingBudget is what the last minutes may take of memory: what the configuration says, else a default, but no more than an eighth of what this process may have.
func recordingBudget(cfg config.Recording) int64 {
	if cfg.MemoryMiB != 0 {
		return int64(cfg.MemoryMiB) << 20
	}
	if limit := memoryLimit("/proc/self/cgroup", "/sys/fs/cgroup"); limit > 0 {
		return max(8<<20, min(recording.DefaultBudget, limit/8))
	}
	return recording.DefaultBudget
}

// savedFolder is where recordings that are saved by themselves lie.
func savedFolder(cfg config.Recording) string {
	home, _ := os.UserHomeDir()
	if cfg.Folder != "" {
		return inHome(cfg.Folder, home)
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // the XDG rules: a relative one is to be ignored
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "foretop", "incidents")
}

func (b *blackBox) found(m recording.Mark) {
	if b.writer != nil {
		b.writer.Found(m)
	}
	if b.saver != nil {
		b.saver.Found(m)
	}
}

// looked sees each snapshot.
func (b *blackBox) looked(s *fleet.Snapshot) {
	if b.saver != nil {
		b.saver.Check(s.At)
	}
}

// Close saves and writes what is left. Nothing may be recorded any more.
func (b *blackBox) Close() error {
	if b.saver != nil {
		b.saver.Close()
	}
	if b.writer == nil {
		return nil
	}
	b.Flush()
	return b.writer.Close()
}

// replayOf is how a recording is told again.
func replayOf(cfg config.Config, idleAfter time.Duration) recording.Replay {
	return recording.Replay{Rules: findings.Rules(), Idle: idleAfter, Layouts: layoutRules(cfg), Fold: fold}
}

// screenPast is a recording's past as screens ask for it.
type screenPast struct{ *recording.Past }

// Marks are the findings in it, oldest first.
func (p screenPast) Marks() []ui.PastMark {
	list := p.Past.Marks()
	out := make([]ui.PastMark, len(list))
	for i, m := range list {
		out[i] = ui.PastMark(m)
	}
	return out
}
