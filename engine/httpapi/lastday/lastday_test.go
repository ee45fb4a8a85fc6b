package lastday

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// clock is a wall clock that a test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, _ = time.Parse(time.RFC3339, text)
}

func none(engine.Digest) bool { return false }

func key(n uint64) (k engine.Digest) {
	binary.BigEndian.PutUint64(k[8:], n)
	return k
}

// TestDaysOutliveTheProcess: what was used is there in the next life, with its last day;
// revoked keys are forgotten, and so is a file that holds something else.
func TestDaysOutliveTheProcess(t *testing.T) {
	name, c, logs := filepath.Join(t.TempDir(), "days"), &clock{}, &bytes.Buffer{}
	revoked := map[engine.Digest]bool{}
	open := func() *Days {
		return Open(Config{File: name, Now: c.now, Revoked: func(k engine.Digest) bool { return revoked[k] }, Logger: slog.New(slog.NewTextHandler(logs, nil))})
	}
	d := open()
	if err := d.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing was used, and there is a file: %v", err)
	}
	c.set("2026-11-29T23:59:59Z")
	d.Note(key(1))
	d.Note(key(2))
	c.set("2026-11-30T00:00:00Z")
	d.Note(key(2))
	c.set("2026-11-28T00:00:00Z") // a clock that is set back
	d.Note(key(2))
	ctx, end := context.WithCancel(t.Context())
	end()
	d.Run(ctx)
	if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
	d = open()
	for k, want := range map[uint64]string{1: "2026-11-29", 2: "2026-11-30", 3: ""} {
		if got := d.Last(key(k)); got != want {
			t.Errorf("key %d was last used %q, want %q", k, got, want)
		}
	}
	revoked[key(1)] = true
	c.set("2026-12-01T12:00:00Z")
	d.Note(key(3))
	if err := d.Save(); err != nil {
		t.Fatal(err)
	}
	if d = open(); d.Last(key(1)) != "" || d.Last(key(2)) == "" || d.Last(key(3)) != "2026-12-01" {
		t.Errorf("%v", d.days)
	}
	b, err := os.ReadFile(name)
	if err != nil || logs.Len() != 0 {
		t.Fatalf("%v %s", err, logs)
	}
	for _, damaged := range []string{"", "x", strings.Replace(string(b), "2026", "20x6", 1), string(b[:len(b)-3]), string(b) + strings.Repeat("0", 300)} {
		if err := os.WriteFile(name, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		logs.Reset()
		if d = open(); len(d.days) != 0 || !strings.Contains(logs.String(), "forgotten") {
			t.Errorf("%.40q is read as %v: %s", damaged, d.days, logs)
		}
	}
	d.Note(key(4))
	if err := d.Save(); err != nil || open().Last(key(4)) == "" {
		t.Errorf("a damaged file is kept: %v", err)
	}
}

// TestWhatIsNotSavedIsTriedAgain: a disk that takes nothing costs nobody their answer.
func TestWhatIsNotSavedIsTriedAgain(t *testing.T) {
	dir, c := filepath.Join(t.TempDir(), "later"), &clock{}
	c.set("2026-11-29T12:00:00Z")
	d := Open(Config{File: filepath.Join(dir, "days"), Now: c.now, Revoked: none, Logger: slog.New(slog.DiscardHandler)})
	d.Note(key(1))
	if err := d.Save(); err == nil {
		t.Error("saved into a folder that is not there")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.Save(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.name); err != nil {
		t.Error(err)
	}
	var nobody *Days
	nobody.Note(key(1))
	if nobody.Last(key(1)) != "" {
		t.Error("nobody remembers something")
	}
}

// TestDaysAreBounded: beyond the bound no key is remembered, and those that are go on.
func TestDaysAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("a million keys")
	}
	c := &clock{}
	c.set("2026-11-29T12:00:00Z")
	d := Open(Config{File: filepath.Join(t.TempDir(), "days"), Now: c.now, Revoked: none, Logger: slog.New(slog.DiscardHandler)})
	for n := range uint64(MaxKeys) {
		d.days[key(n)] = 1
	}
	d.Note(key(MaxKeys))
	d.Note(key(7))
	if len(d.days) != MaxKeys || d.Last(key(MaxKeys)) != "" || d.Last(key(7)) != "2026-11-29" {
		t.Errorf("%d keys; %q %q", len(d.days), d.Last(key(MaxKeys)), d.Last(key(7)))
	}
}

// TestNotedFromEverywhere: uses, looks and saves beside each other lose nothing.
func TestNotedFromEverywhere(t *testing.T) {
	c := &clock{}
	c.set("2026-11-29T12:00:00Z")
	name := filepath.Join(t.TempDir(), "days")
	d := Open(Config{File: name, Now: c.now, Revoked: none, Logger: slog.New(slog.DiscardHandler)})
	var all sync.WaitGroup
	for part := range uint64(4) {
		all.Go(func() {
			for n := range uint64(200) {
				d.Note(key(part*100 + n))
				if n%20 == 0 {
					if err := d.Save(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if err := d.Save(); err != nil {
		t.Fatal(err)
	}
	if got := Open(Config{File: name, Now: c.now, Revoked: none, Logger: slog.New(slog.DiscardHandler)}); len(got.days) != 500 {
		t.Errorf("%d keys", len(got.days))
	}
}
