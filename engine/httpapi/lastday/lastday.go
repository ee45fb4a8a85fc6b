// Package lastday remembers on which day of UTC each API key was last used.
//
// It promises that a use costs a look-up, that memory is bounded, and that what it
// remembers is in a file, replaced whole every hour and at the end: a crash loses what
// was used for the first time on its day in the hour before, a day of use at most. What
// was damaged or never there begins anew.
//
// It refuses to remember times, addresses or what was asked: a day is enough to find the
// keys that nobody needs, and says little of a person. It refuses the decision log, too:
// a use decides nothing, is not replayed, and would write a record for each read. So each
// server remembers what came to it alone.
package lastday

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// MaxKeys bounds what is remembered: some 60 MB, of as many keys as the policy allows as
// shipped. Beyond them a key is not remembered that was not before.
const MaxKeys = 1 << 20

// saveEvery is how often what has changed is written.
const saveEvery = time.Hour

// head is the first line of the file; after it each has a digest in hexadecimal digits, a
// space and a day.
const head = "mbp: the day on which each API key was last used"

// maxLine bounds a line of the file.
const maxLine = 128

// Days is what is remembered. Its methods are safe for concurrent use; of a nil one, too:
// it remembers nothing.
type Days struct {
	name    string
	now     func() time.Time
	revoked func(engine.Digest) bool
	log     *slog.Logger

	saving sync.Mutex // held by who writes the file

	mu    sync.RWMutex
	days  map[engine.Digest]int32 // since 1970
	moved bool                    // the file has something else
}

// Config of Days; all of it is required.
type Config struct {
	File    string           // is made at the first save; its folder is there
	Now     func() time.Time // the wall clock
	Revoked func(engine.Digest) bool
	Logger  *slog.Logger
}

// Open reads the file, if there is one. It starts nothing.
func Open(cfg Config) *Days {
	d := &Days{name: cfg.File, now: cfg.Now, revoked: cfg.Revoked, log: cfg.Logger, days: map[engine.Digest]int32{}}
	f, err := os.Open(d.name)
	if err == nil {
		err = errors.Join(d.read(f), f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("when keys were last used is forgotten, and remembered from now on", "err", err)
		d.days = map[engine.Digest]int32{}
	}
	return d
}

func (d *Days) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	if !lines.Scan() || lines.Text() != head {
		return errors.Join(errors.New("the file of last days begins with something else"), lines.Err())
	}
	for n := 2; lines.Scan(); n++ {
		hex, text, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		var key engine.Digest
		err := key.UnmarshalText(hex)
		day, err2 := time.Parse(time.DateOnly, string(text))
		if err = errors.Join(err, err2); err == nil && len(d.days) == MaxKeys {
			err = errors.New("there are too many")
		}
		if err != nil {
			return fmt.Errorf("line %d of the file of last days: %w", n, err)
		}
		d.days[key] = dayOf(day)
	}
	return lines.Err()
}

func dayOf(t time.Time) int32 { return int32(t.Unix() / 86_400) }

// Note says that a key is used now.
func (d *Days) Note(key engine.Digest) {
	if d == nil {
		return
	}
	today := dayOf(d.now())
	d.mu.RLock()
	was, known := d.days[key]
	d.mu.RUnlock()
	if known && was >= today {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if known || len(d.days) < MaxKeys {
		d.days[key], d.moved = today, true
	}
}

// Last is the day on which a key was last used, as YYYY-MM-DD in UTC; empty if nobody
// knows.
func (d *Days) Last(key engine.Digest) string {
	if d == nil {
		return ""
	}
	d.mu.RLock()
	day, known := d.days[key]
	d.mu.RUnlock()
	if !known {
		return ""
	}
	return time.Unix(int64(day)*86_400, 0).UTC().Format(time.DateOnly)
}

// Run saves what has changed every hour, and at the end of ctx, which is no error.
func (d *Days) Run(ctx context.Context) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			ended = true
		}
		if err := d.Save(); err != nil {
			d.log.Warn("when keys were last used is not saved", "err", err)
		}
	}
}

// Save forgets revoked keys and replaces the file, if something has changed.
//
// The crash story: the new file is durable before it takes the name of the old one, so
// that a crash leaves either, whole.
func (d *Days) Save() error {
	d.saving.Lock()
	defer d.saving.Unlock()
	d.mu.Lock()
	moved, keys := d.moved, slices.Collect(maps.Keys(d.days))
	d.moved = false
	d.mu.Unlock()
	if !moved {
		return nil
	}
	slices.SortFunc(keys, func(a, b engine.Digest) int { return bytes.Compare(a[:], b[:]) })
	text := []byte(head + "\n")
	for _, key := range keys {
		if d.revoked(key) {
			d.mu.Lock()
			delete(d.days, key)
			d.mu.Unlock()
			continue
		}
		text = fmt.Appendf(text, "%s %s\n", key, d.Last(key))
	}
	if err := replace(d.name, text); err != nil {
		d.mu.Lock()
		d.moved = true
		d.mu.Unlock()
		return fmt.Errorf("save the last days of keys: %w", err)
	}
	return nil
}

// replace makes a file hold something else, whole or not at all.
func replace(name string, b []byte) error {
	next := name + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(next, name)
	}
	return err
}
