package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/mbp-market/mbp/engine"
)

const (
	// keptAttempts are those of an endpoint that are remembered.
	keptAttempts = 100
	// maxLines is how many a file has before it is written anew with the newest ones, so
	// that this costs each attempt little.
	maxLines = 2 * keptAttempts
	// maxLog bounds what is read of a file in bytes: an attempt has some three hundred.
	maxLog = 256 << 10
	// logSuffix is of the files in the folder, which have the names of their webhooks.
	logSuffix = ".attempts"
)

// logs are the attempts of all endpoints, in memory and in a file for each.
//
// The crash story: an attempt is one write at the end of its file, which the death of
// the process leaves whole, or torn at the end: then it is dropped. Nothing is synced,
// because nobody decides by it: a power loss may take the last ones. A file that has
// grown to maxLines is replaced, whole or not at all. It goes with its webhook, and with
// the start of a server that knows none of that name.
type logs struct {
	dir string
	log *slog.Logger

	mu   sync.Mutex
	of_  map[engine.WebhookID]*attempts
	told string // the last failure of a file, so that a full disk is said once
}

// attempts are the last ones of an endpoint.
type attempts struct {
	ring  []Attempt
	next  int      // where the next one goes, once the ring is full
	f     *os.File // nil: it has to be opened
	lines int      // of the file; maxLines: it has to be written anew
}

// openLogs reads what the folder has.
func openLogs(dir string, log *slog.Logger) (*logs, error) {
	l := &logs{dir: dir, log: log, of_: map[engine.WebhookID]*attempts{}}
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		word, is := strings.CutSuffix(e.Name(), logSuffix)
		var id engine.WebhookID
		if !is || id.UnmarshalText([]byte(word)) != nil {
			continue
		}
		a, err := readAttempts(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		l.of_[id] = a
	}
	return l, nil
}

// readAttempts reads a file up to what is no attempt.
func readAttempts(name string) (*attempts, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxLog))
	if err != nil {
		return nil, err
	}
	out := &attempts{}
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte("\n"))
		var a Attempt
		if !ended || json.Unmarshal(line, &a) != nil {
			out.lines = maxLines // what follows would be read with what is torn
			break
		}
		out.remember(a)
		out.lines++
		b = rest
	}
	return out, nil
}

// remember puts an attempt into the ring.
func (a *attempts) remember(x Attempt) {
	if len(a.ring) < keptAttempts {
		a.ring = append(a.ring, x)
		return
	}
	a.ring[a.next] = x
	a.next = (a.next + 1) % keptAttempts
}

// newest returns them, the newest first.
func (a *attempts) newest() []Attempt {
	out := make([]Attempt, 0, len(a.ring))
	for i := range a.ring {
		out = append(out, a.ring[(a.next+len(a.ring)-1-i)%len(a.ring)])
	}
	return out
}

func (l *logs) name(id engine.WebhookID) string {
	return filepath.Join(l.dir, id.String()+logSuffix)
}

// add remembers an attempt, and writes it down. Where that fails delivery goes on.
func (l *logs) add(id engine.WebhookID, x Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.of_[id]
	if a == nil {
		a = &attempts{}
		l.of_[id] = a
	}
	a.remember(x)
	err := l.write(id, a, x)
	if err != nil {
		a.close()
		a.lines = maxLines
		if l.told != err.Error() {
			l.log.Warn("the attempts of webhooks are not written down", "webhook", id.String(), "err", err)
		}
	}
	l.told = fmt.Sprint(err)
}

// write appends a line, or writes the file anew.
func (l *logs) write(id engine.WebhookID, a *attempts, x Attempt) (err error) {
	if a.lines >= maxLines {
		a.close()
		all := a.newest()
		slices.Reverse(all)
		var b []byte
		for i := range all {
			if b, err = appendLine(b, all[i]); err != nil {
				return err
			}
		}
		if err := replace(l.name(id), b); err != nil {
			return err
		}
		a.lines = len(all)
		return nil
	}
	if a.f == nil {
		if a.f, err = os.OpenFile(l.name(id), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
			return err
		}
	}
	b, err := appendLine(nil, x)
	if err == nil {
		_, err = a.f.Write(b)
	}
	a.lines++
	return err
}

func appendLine(b []byte, x Attempt) ([]byte, error) {
	line, err := json.Marshal(x)
	return append(append(b, line...), '\n'), err
}

func (a *attempts) close() {
	if a.f != nil {
		_ = a.f.Close() // what it has was written
		a.f = nil
	}
}

// newest returns the last attempts of an endpoint, the newest first; nil: there are none.
func (l *logs) newest(id engine.WebhookID) []Attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.of_[id]; a != nil {
		return a.newest()
	}
	return nil
}

// keep forgets the endpoints that are no more, with their files.
func (l *logs) keep(now []engine.Webhook) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, a := range l.of_ {
		if slices.ContainsFunc(now, func(w engine.Webhook) bool { return w.ID == id }) {
			continue
		}
		a.close()
		if err := os.Remove(l.name(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.log.Warn("the attempts of a webhook that is no more are still there", "webhook", id.String(), "err", err)
			continue // it is tried again
		}
		delete(l.of_, id)
	}
}

// close ends the writing; what was written stays.
func (l *logs) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.of_ {
		a.close()
	}
}
