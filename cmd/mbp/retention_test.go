package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// archived makes a data folder whose journal has released most of what it holds.
func archived(t *testing.T, data, archive string) (first, next uint64) {
	t.Helper()
	l, err := file.Open(file.Config{Dir: notary.Journal(data), Archive: archive, SegmentSize: 12 << 10})
	if err != nil {
		t.Fatal(err)
	}
	seq, err := sequencer.New(sequencer.Config{Log: l, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- seq.Run(ctx) }()
	if err := bootstrap(ctx, seq, data); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		got, err := seq.Submit(ctx, sequencer.Request{Principal: engine.System, Command: &engine.OpenAccount{}})
		if err != nil || got.Decision.Code != engine.OK {
			t.Fatalf("%v %+v", err, got.Decision)
		}
	}
	end()
	err = <-done
	for range 4 {
		err = errors.Join(err, l.Release(l.Next()))
	}
	first, next = l.First(), l.Next()
	if err = errors.Join(err, l.Close()); err != nil || first < 50 {
		t.Fatalf("%v; the journal begins at %d", err, first)
	}
	return first, next
}

// TestServeReadsItsArchive: a server whose journal begins late starts from the
// archive, feeds lake and audit tree from it, decides on, and is checked and
// replayed from both; without the archive everybody says what is missing.
func TestServeReadsItsArchive(t *testing.T) {
	data, archive := filepath.Join(t.TempDir(), "data"), t.TempDir()
	_, next := archived(t, data, archive)
	r := runPlatform(t, func(c *Config) { c.Data, c.Archive = data, archive })
	r.decide(t)
	if got := uint64(r.seq.Durable()); got != next {
		t.Errorf("the last decision is %d, want %d", got, next)
	}
	if seq, by := r.keeper.Floor(); seq != 0 {
		t.Errorf("without a snapshot everything below %d may be released, by %s", seq, by)
	}
	waitFor(t, "the lake", func() bool { return uint64(r.pipeline.Position()) == next })
	waitFor(t, "the audit tree", func() bool { return r.tree.Newest().Size == next })
	if err := r.shut(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	said := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), args, &out, &out)
		return out.String(), err
	}
	for _, args := range [][]string{{"fsck"}, {"replay", "--verify"}, {"audit", "prove", "3"}, {"export", "decisions"}, {"export", "positions"}} {
		args = append(args, "--data", data)
		if out, err := said(append(args, "--archive", archive)...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		if out, err := said(args...); err == nil || !strings.Contains(out+err.Error(), "archive") {
			t.Errorf("%v without the archive: %v\n%s", args, err, out)
		}
	}
	if out, err := said("snapshot", "--data", data, "--archive", archive); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	saysWhereItBegins(t, data)
}

// saysWhereItBegins: the edge of a server that starts from a snapshot and knows no
// archive tells who asks for what is there from where on there is something. Its lake
// would not begin, so the server is not made ready.
func saysWhereItBegins(t *testing.T, data string) {
	t.Helper()
	c := defaultConfig()
	c.Data, c.DbtResults = data, ""
	p, err := open(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.api.Run(ctx) }()
	defer func() { end(); <-ended }()
	key, err := os.ReadFile(filepath.Join(data, adminKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("decisions before %d are in an archive that this server does not read", p.journal.First())
	for _, path := range []string{"/v1/decisions/3", "/v1/decisions?after=2", "/v1/accounts/1/portfolio", "/v1/accounts/1/trades", "/v1/exports/decisions", "/v1/exports/trades?first=3"} {
		w, q := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
		q.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
		if p.api.ServeHTTP(w, q); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestKeeperNeedsASnapshot: with snapshots the slowest of snapshot, lake, audit tree
// and setting decides what is released.
func TestKeeperNeedsASnapshot(t *testing.T) {
	r := runPlatform(t, func(c *Config) { c.Archive, c.ArchiveAfter = t.TempDir(), 1 })
	for range 4 {
		r.decide(t)
	}
	waitFor(t, "the lake", func() bool { return r.pipeline.Position() == 5 })
	waitFor(t, "the audit tree", func() bool { return r.tree.Newest().Size == 5 })
	r.snapshot = func() uint64 { return 4 }
	if err := r.keepJournal(prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	if seq, by := r.keeper.Floor(); seq != 4 || by != "snapshot" {
		t.Errorf("%d by %s", seq, by)
	}
	r.snapshot = func() uint64 { return 6 }
	if err := r.keepJournal(prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	if seq, by := r.keeper.Floor(); seq != 5 || by != "keep" {
		t.Errorf("%d by %s", seq, by)
	}
}

// TestArchiveInTheJournal: an archive in the folder that it is to relieve is refused.
func TestArchiveInTheJournal(t *testing.T) {
	c := defaultConfig()
	for _, archive := range []string{"mbp-data/journal", "./mbp-data/journal/old"} {
		c.Archive = archive
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "archive") {
			t.Errorf("%s: %v", archive, err)
		}
	}
	c.Archive = "mbp-data/archive"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
