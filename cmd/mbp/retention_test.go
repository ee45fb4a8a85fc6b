package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi"
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
	lakeWithoutArchive(t, data, archive, next)
}

// lakeWithoutArchive: a server that knows no archive starts from a snapshot, is ready,
// and its lake goes on where it ended. A lake that ends before what the snapshots and
// the journal reach back to stands still and says so, to everybody who looks; with the
// archive it goes on from there, and lacks nothing.
func lakeWithoutArchive(t *testing.T, data, archive string, last uint64) {
	t.Helper()
	r := runPlatform(t, func(c *Config) { c.Data = data })
	r.decide(t)
	waitFor(t, "the lake", func() bool { return uint64(r.pipeline.Position()) == last+1 })
	if err := r.ready(); err != nil || r.pipeline.Lacks() != nil {
		t.Errorf("%v, lacks %v", err, r.pipeline.Lacks())
	}
	saysWhereItBegins(t, r.platform)
	if err := r.shut(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(data, "lake")); err != nil {
		t.Fatal(err)
	}
	r = runPlatform(t, func(c *Config) { c.Data = data })
	r.decide(t)
	var notice httpapi.Notice
	if err := r.ready(); !errors.As(err, &notice) || !strings.Contains(string(notice), "lacks decisions from 1 on") {
		t.Errorf("%v", err)
	}
	base := "http://" + r.addr
	if got := fetched(t, base+"/readyz"); !strings.Contains(got, `"status":"ready"`) || !strings.Contains(got, string(notice)) {
		t.Errorf("anybody is told %s", got)
	}
	if got := fetched(t, base+"/metrics"); !strings.Contains(got, "\ncdc_lacks_from_seq 1\n") {
		t.Error("the metric does not say what the lake lacks")
	}
	doctor := func(args ...string) string {
		var out bytes.Buffer
		_ = run(t.Context(), append([]string{"doctor", "--data", data, "--url", base}, args...), &out, &out) // what it says is looked at
		return out.String()
	}
	if got := doctor(); !regexp.MustCompile(`(?m)^FAIL +lake +it lacks decisions 1 to \d+: the journal here begins at \d+`).MatchString(got) || !strings.Contains(got, "--archive") {
		t.Errorf("doctor: %s", got)
	}
	if err := r.shut(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	r = runPlatform(t, func(c *Config) { c.Data, c.Archive = data, archive })
	waitFor(t, "the lake", func() bool { return uint64(r.pipeline.Position()) == last+2 })
	if got := doctor("--archive", archive); !regexp.MustCompile(`(?m)^PASS +lake `).MatchString(got) {
		t.Errorf("doctor: %s", got)
	}
}

func fetched(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// saysWhereItBegins: the edge of a server that starts from a snapshot and knows no
// archive tells who asks for what is there from where on there is something.
func saysWhereItBegins(t *testing.T, p *platform) {
	t.Helper()
	data := p.cfg.Data
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
