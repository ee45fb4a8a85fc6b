package sim_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/sim/crowd"
	"github.com/mbp-market/mbp/sim/playback"
	"github.com/mbp-market/mbp/sim/world"
)

// witness is a real server, and remembers the orders of each market as they
// came.
type witness struct {
	*crowd.Remote
	mu     sync.Mutex
	orders map[engine.MarketID][]engine.PlaceOrder
}

func (w *witness) Order(ctx context.Context, a playback.Account, o engine.PlaceOrder, key string) (playback.Fill, error) {
	w.mu.Lock()
	w.orders[o.Market] = append(w.orders[o.Market], o)
	w.mu.Unlock()
	return w.Remote.Order(ctx, a, o, key)
}

// trade lets a crowd trade on a fresh server.
func trade(t *testing.T, seed uint64, concurrency int) (*server, *witness, *crowd.Report) {
	t.Helper()
	s := start(t)
	w, err := world.Build(t.Context(), s.admin, world.Config{Accounts: 300, Markets: 4, Seed: 1, Concurrency: 16})
	if err != nil {
		t.Fatal(err)
	}
	// How far the flood came in the last market, and in which order the holders of
	// the resolved one bought, is not the seed's.
	w.Markets, w.Traders = w.Markets[:3], w.Traders[20:]
	v := &witness{Remote: crowd.NewRemote(s.admin.As(w.Traders[0].Key)), orders: map[engine.MarketID][]engine.PlaceOrder{}}
	r, err := crowd.Play(t.Context(), v, crowd.Config{World: w, Orders: 1500, Seed: seed, Concurrency: concurrency})
	if err != nil {
		t.Fatal(err)
	}
	return s, v, r
}

// TestCrowd: on the real server the crowd moves prices to the truth, within its
// rates; its orders and their effect follow from the seed, however many are
// under way at once; another seed is another crowd.
func TestCrowd(t *testing.T) {
	s, seen, r := trade(t, 1, 16)
	if r.Placed != 1500 || r.Accepted < 1200 || r.Rejected["rate_limited"] != 0 || r.Rejected["insufficient_funds"] != 0 || r.Rejected["insufficient_shares"] != 0 {
		t.Errorf("%+v", r)
	}
	if r.Waits != 0 || r.Latency.Count != 1500 || r.Latency.P95 <= 0 || r.Ratio > 0.7 || r.After.Mean >= r.Before.Mean {
		t.Errorf("from %+v to %+v points, %d waits, latency %+v", r.Before, r.After, r.Waits, r.Latency)
	}
	for _, m := range r.Markets {
		now, err := s.admin.Market(context.Background(), m.Market)
		if err != nil || now.PriceOf(engine.Yes) != m.PriceAfter || now.Trades != int64(m.Accepted) {
			t.Errorf("the report says %+v, the server %+v, %v", m, now, err)
		}
	}
	_, twin, again := trade(t, 1, 3)
	if !reflect.DeepEqual(seen.orders, twin.orders) || !slices.Equal(r.Markets, again.Markets) || !reflect.DeepEqual(r.Styles, again.Styles) {
		t.Error("an equal seed on an equal server trades otherwise")
	}
	_, stranger, _ := trade(t, 2, 16)
	if reflect.DeepEqual(seen.orders, stranger.orders) {
		t.Error("another seed trades equally")
	}
}

// TestWorldFile: what was saved is loaded; what nobody could trade with is
// refused, and no refusal shows a key.
func TestWorldFile(t *testing.T) {
	good := `{"base_url":"http://h","markets":[{"market":"mkt_1","weight":0.4},{"market":"mkt_2","weight":0.6}],` +
		`"traders":[{"account":"acc_1","key":"mbp_a"},{"account":"acc_2","key":"mbp_b"}],"panel":{"account":"acc_3","key":"mbp_c"}}`
	path := filepath.Join(t.TempDir(), "world.json")
	load := func(text string) (*world.World, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return world.Load(path)
	}
	w, err := load(good)
	if err != nil || len(w.Traders) != 2 || w.Markets[1].Market != 2 || w.Panel.Key != "mbp_c" {
		t.Fatalf("%+v, %v", w, err)
	}
	if err := w.Save(path); err != nil {
		t.Fatal(err)
	}
	if again, err := world.Load(path); err != nil || !reflect.DeepEqual(w, again) {
		t.Errorf("%+v, %v", again, err)
	}
	for _, c := range [][2]string{
		{`"http://h"`, `""`}, {"mkt_2", "mkt_1"}, {"0.4", "0"}, {"0.4", "1.5"}, {`"acc_2"`, `"acc_1"`}, {`"mbp_b"`, `""`},
		{`"base_url"`, `"base"`}, {`"mkt_1"`, `"mkt_x"`}, {`}}`, `}`}, {`}}`, `}}{}`},
	} {
		if _, err := load(strings.Replace(good, c[0], c[1], 1)); err == nil || strings.Contains(fmt.Sprint(err), "mbp_") {
			t.Errorf("%s: %v", c[1], err)
		}
	}
	if err := os.Truncate(path, 64<<20+1); err != nil { // zeros, which take no room on the disk
		t.Fatal(err)
	}
	if _, err := world.Load(path); !strings.Contains(fmt.Sprint(err), "has more than 67108864 bytes") {
		t.Errorf("a file of 64 MiB and one byte: %v", err)
	}
	if _, err := world.Load(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Error("no file is a world")
	}
}
