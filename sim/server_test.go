// Package sim_test runs the simulated traders against a real server: the
// journal on disk, the single writer and the edge, in this process.
package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/sim/playback"
	"github.com/mbp-market/mbp/sim/tape"
	"github.com/mbp-market/mbp/sim/world"
)

// server is a running server and the key of its admin.
type server struct {
	admin *client.Client
	seq   *sequencer.Sequencer
	ahead atomic.Int64 // ns that its clock is ahead
}

func start(t *testing.T) *server {
	t.Helper()
	log, err := file.Open(file.Config{Dir: filepath.Join(t.TempDir(), "journal"), SegmentSize: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	s := &server{}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	now := func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
	if s.seq, err = sequencer.New(sequencer.Config{Log: log, Now: now, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	api, err := httpapi.New(httpapi.Config{Sequencer: s.seq, Registerer: metrics, Gatherer: metrics, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- s.seq.Run(ctx) }()
	go func() { done <- api.Run(ctx) }()
	edge := httptest.NewServer(api)
	t.Cleanup(func() {
		edge.Close()
		cancel()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
	secret, digest, err := client.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.seq.Submit(ctx, sequencer.Request{Principal: engine.System, Command: &engine.Initialise{
		Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(), Admin: engine.Key{SHA256: digest, Principal: "admin", Roles: engine.RoleAdmin},
	}}); err != nil {
		t.Fatal(err)
	}
	if s.admin, err = client.New(edge.URL, secret); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWorld(t *testing.T) {
	build := func(seed uint64) (*server, *world.World) {
		s := start(t)
		steps := 0
		w, err := world.Build(context.Background(), s.admin, world.Config{
			Accounts: 60, Markets: 20, Seed: seed, Concurrency: 8, Progress: func(string, int, time.Duration) { steps++ },
		})
		if err != nil || steps != 6 {
			t.Fatalf("%v after %d steps", err, steps)
		}
		return s, w
	}
	s, w := build(1)
	questions := titles(t, s) // before anybody trades
	checkMarkets(t, s, w)
	checkTraders(t, s, w)
	if w.Payouts == 0 || w.Abuse == 0 {
		t.Errorf("%+v", w)
	}
	m, err := s.admin.Market(context.Background(), w.Resolved)
	if err != nil || m.State != engine.Resolved || *m.Outcome != engine.Yes || m.Trades != 12 {
		t.Errorf("%+v, %v", m, err)
	}
	if all, err := s.admin.Seasons(context.Background()); err != nil || len(all.Seasons) != 1 {
		t.Errorf("seasons %+v, %v", all, err)
	}
	if g, err := s.admin.AccountGroups(context.Background(), w.Traders[0].Account); err != nil || len(g.Given) != 1 {
		t.Errorf("groups %+v, %v", g, err)
	}
	checkFile(t, w)

	twin, again := build(1)
	other, _ := build(2)
	if !reflect.DeepEqual(again.Markets, w.Markets) || again.Traders[0].Key == w.Traders[0].Key || again.Panel.Account != w.Panel.Account {
		t.Error("an equal seed gives another world, or the same secrets")
	}
	if questions != titles(t, twin) || questions == titles(t, other) {
		t.Error("questions do not follow the seed")
	}
}

func checkMarkets(t *testing.T, s *server, w *world.World) {
	t.Helper()
	sum := 0.0
	for i, m := range w.Markets {
		sum += m.Weight
		got, err := s.admin.Market(context.Background(), m.Market)
		if err != nil || got.State != engine.Open || got.PriceOf(engine.Yes) < 149_000 || got.PriceOf(engine.Yes) > 851_000 {
			t.Errorf("%+v, %v", got, err)
			continue
		}
		if i > 0 && m.Weight > w.Markets[i-1].Weight {
			t.Errorf("weights rise at %d: %+v", i, w.Markets)
		}
		// An hour of 120 orders of five credits a second, all on one side, stays
		// inside the bounds; one credit moves the price.
		pool, hour := float64(min(got.Outcomes[0].Pool, got.Outcomes[1].Pool)), m.Weight*120*3600*5e6
		if (pool+hour)*(pool+hour)/(pool*pool+(pool+hour)*(pool+hour)) > 0.99 {
			t.Errorf("market %d runs into its bound: pool %.0f, flow %.0f", i, pool, hour)
		}
		before, err := s.admin.Quote(context.Background(), client.Order{Market: m.Market, Side: engine.Buy, TIF: engine.IOC, Amount: 10 * engine.One})
		if err != nil || before.PriceAfter == before.PriceBefore {
			t.Errorf("ten credits do not move %s: %+v, %v", m.Market, before, err)
		}
	}
	if len(w.Markets) != 20 || w.Markets[0].Weight < 0.30 || sum < 0.999999 || sum > 1.000001 {
		t.Errorf("%d markets, the first with %v, all with %v", len(w.Markets), w.Markets[0].Weight, sum)
	}
}

func checkTraders(t *testing.T, s *server, w *world.World) {
	t.Helper()
	seen := map[engine.AccountID]bool{}
	for _, x := range append([]world.Trader{w.Panel}, w.Traders...) {
		me, err := s.admin.As(x.Key).Me(context.Background())
		if err != nil || me.Account != x.Account || me.Roles != engine.RoleTrader || seen[x.Account] {
			t.Errorf("%+v, %v", me, err)
		}
		seen[x.Account] = true
	}
	d, err := s.admin.As(w.Panel.Key).PlaceOrder(context.Background(), client.Order{Market: w.Markets[0].Market, Side: engine.Buy, TIF: engine.FOK, Amount: engine.One})
	if err != nil || len(d.Events) != 1 || len(w.Traders) != 60 {
		t.Errorf("%+v, %v", d, err)
	}
}

// checkFile: the file has the form that load scripts read, mode 0600, and
// replaces what was there.
func checkFile(t *testing.T, w *world.World) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "world.json")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := w.Save(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	b, _ := os.ReadFile(path)
	var doc struct {
		BaseURL string `json:"base_url"`
		Markets []struct {
			Market string
			Weight float64
		}
		Traders []struct{ Account, Key string }
		Panel   struct{ Account, Key string }
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil || doc.BaseURL != w.BaseURL || doc.Markets[0].Market != "mkt_1" || doc.Traders[0].Key != w.Traders[0].Key || doc.Panel.Account != w.Panel.Account.String() {
		t.Errorf("%+v, %v", doc, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files are left", len(entries))
	}
	if err := w.Save(filepath.Join(path, "no", "folder")); err == nil {
		t.Error("a world is saved nowhere")
	}
}

func titles(t *testing.T, s *server) string {
	t.Helper()
	page, err := s.admin.Markets(context.Background(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range page.Markets {
		all = append(all, fmt.Sprint(m.Title, m.PriceOf(engine.Yes), m.Liquidity))
	}
	return strings.Join(all, "\n")
}

func TestWorldRefusals(t *testing.T) {
	s := start(t)
	good := world.Config{Accounts: 60, Markets: 20, Seed: 1, Concurrency: 8}
	w, err := world.Build(context.Background(), s.admin, good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := world.Build(context.Background(), s.admin.As(w.Panel.Key), good); err == nil {
		t.Error("a trader builds a world")
	}
	if _, err := world.Build(context.Background(), s.admin.As("mbp_nobody"), good); client.CodeOf(err) != "unauthenticated" {
		t.Errorf("%v", err)
	}
	for _, cfg := range []world.Config{{Accounts: 1, Markets: 20, Concurrency: 1}, {Accounts: 60, Concurrency: 1}, {Accounts: 60, Markets: 20}, {Accounts: 60, Markets: 5000, Concurrency: 1}} {
		if _, err := world.Build(context.Background(), s.admin, cfg); err == nil {
			t.Errorf("%+v passes", cfg)
		}
	}
}

const recording = `ts,source,market_id,account,outcome,side,amount,shares,price,price_before,price_after,limit_price,status
2026-01-02T12:00:00Z,lmsr,m1,ana,YES,BUY,10,,,0.5,0.55,,filled
2026-01-02T12:00:01Z,lmsr,m1,ana,YES,SELL,,4,,0.55,0.53,,filled
2026-01-02T12:00:02Z,lmsr,m1,bob,YES,SELL,,4,,0.53,0.51,,filled
2026-01-02T12:00:03Z,book,m2,,YES,,25,100,0.25,0.2,0.25,,inplay
2026-01-02T12:00:04Z,book,m2,,YES,,25,100,0.25,0.3,0.25,,inplay
2026-01-02T12:00:05Z,book,m2,cat,NO,BUY,10,,,,,0.1,filled
2026-01-02T12:00:06Z,book,m2,cat,NO,BUY,10,,,,,,cancelled
`

// TestImportTwice plays a recording into a real server twice: the second time
// every answer is a replay and the engine's state does not change; once the
// server may have forgotten, a third time is refused.
func TestImportTwice(t *testing.T) {
	s := start(t)
	path := filepath.Join(t.TempDir(), "trades.csv")
	if err := os.WriteFile(path, []byte(recording), 0o600); err != nil {
		t.Fatal(err)
	}
	opt := tape.Options{Seed: 1, Synthetic: 3, Template: engine.DefaultTemplate()}
	tp, err := tape.Load(context.Background(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	play := func() (*playback.Report, error) {
		return playback.Play(context.Background(), playback.NewRemote(s.admin), playback.Config{Tape: tp, Options: opt, Concurrency: 3, Wait: true})
	}
	hash := func() (h engine.Digest) {
		s.seq.View(func(st *core.State) { h = st.Hash() })
		return h
	}
	first, err := play()
	if err != nil || first.Accepted != 5 || first.Rejected["price_limit"] != 1 || first.Notes["sold_as_opposite"] != 1 || first.Latency.Count != 7 {
		t.Fatalf("%+v, %v", first, err)
	}
	was := hash()
	second, err := play()
	if err != nil || second.Accepted != 5 || second.Replayed != 5 || second.Decisions != 0 || hash() != was {
		t.Errorf("%+v, %v", second, err)
	}
	s.ahead.Store(int64(25 * time.Hour))
	if _, err := s.admin.OpenAccount(context.Background()); err != nil { // makes the server forget
		t.Fatal(err)
	}
	if _, err := play(); !errors.Is(err, playback.ErrForgotten) {
		t.Errorf("a day later: %v", err)
	}
	page, err := s.admin.Markets(context.Background(), 0, 100)
	if err != nil || len(page.Markets) != 2 {
		t.Errorf("%d markets, %v", len(page.Markets), err)
	}
}
