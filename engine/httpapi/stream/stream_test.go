package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/httpapi/meter"
	"github.com/mbp-market/mbp/engine/httpapi/roster"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// feed is a server that follows a real writer on a real journal.
type feed struct {
	*Server
	t   *testing.T
	seq *sequencer.Sequencer
}

// start runs a writer and its streams; wrap may stand between the two.
func start(t *testing.T, wrap func(Source) Source) *feed {
	t.Helper()
	l, err := file.Open(file.Config{Dir: t.TempDir(), SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	f := &feed{t: t}
	if f.seq, err = sequencer.New(sequencer.Config{Log: l, Registerer: r, Logger: log}); err != nil {
		t.Fatal(err)
	}
	m, err := meter.New(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	var src Source = f.seq
	if wrap != nil {
		src = wrap(src)
	}
	f.Server = New(Config{Source: src, Metrics: m, Log: log, Most: 100, MostOfOne: 100})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.seq.Run(ctx) })
	wg.Go(func() { _ = f.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	f.submit(&engine.Initialise{Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(),
		Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "admin", Roles: engine.RoleAdmin}})
	return f
}

func (f *feed) submit(c engine.Command) *engine.Decision {
	f.t.Helper()
	got, err := f.seq.Submit(context.Background(), sequencer.Request{Principal: engine.System, Command: c})
	if err != nil || got.Decision.Code != engine.OK {
		f.t.Fatalf("%s: %v %+v", c.Type(), err, got.Decision)
	}
	return got.Decision
}

// funded opens an account with credits.
func (f *feed) funded(credits engine.Micros) engine.AccountID {
	f.t.Helper()
	id := f.submit(&engine.OpenAccount{}).Events[0].(*engine.AccountOpened).Account
	f.submit(&engine.GrantCredits{Account: id, Amount: credits * engine.One})
	return id
}

// market opens a market of an account.
func (f *feed) market(creator engine.AccountID) {
	f.t.Helper()
	f.submit(&engine.OpenMarket{Template: "binary@1.0.0", Title: "Rain", Creator: creator, Liquidity: 1000 * engine.One, Price: engine.One / 2})
}

// categorical opens markets of 64 outcomes.
func (f *feed) categorical(creator engine.AccountID, n int) {
	f.t.Helper()
	x := engine.DefaultTemplate()
	x.ID, x.Kind, x.MinPrice, x.MaxPrice = "many", engine.Categorical, 100, 990_000
	f.submit(&engine.AddTemplate{Template: x})
	open := engine.OpenMarket{Template: x.Name(), Title: "Who", Creator: creator, Liquidity: 1000 * engine.One}
	for i := range engine.MaxOutcomes {
		open.Outcomes = append(open.Outcomes, fmt.Sprint("outcome ", i))
	}
	for range n {
		f.submit(&open)
	}
}

// reach waits until the streams were told of everything.
func (f *feed) reach() engine.Seq {
	f.t.Helper()
	for end := time.Now().Add(10 * time.Second); f.Position() < f.seq.Durable(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("the streams are not at %d", f.seq.Durable())
		}
	}
	return f.Position()
}

// enter opens a stream that gets nothing yet.
func (f *feed) enter(topic hub.Topic) *hub.Stream {
	f.t.Helper()
	to, err := f.hub.Enter(engine.Digest{1}, topic)
	if err != nil {
		f.t.Fatal(err)
	}
	return to
}

// markets are those of a snapshot.
func markets(t *testing.T, first hub.Frame) (docs []engine.Market) {
	t.Helper()
	_, data, _ := strings.Cut(string(first.Text), "data: ")
	var doc struct{ Markets []engine.Market }
	if err := json.Unmarshal([]byte(data), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Markets
}

// always is a listener to all markets whose right does not end.
var always = Listener{Holds: func(time.Time) bool { return true }, Read: func(int) {}}

// to returns a listener to a topic.
func (l Listener) to(t hub.Topic) Listener {
	l.Topic = t
	return l
}

// meanwhile runs something before the read model is looked at.
type meanwhile struct {
	Source
	do atomic.Pointer[func()]
}

func (m *meanwhile) View(fn func(*core.State)) {
	if do := m.do.Swap(nil); do != nil {
		(*do)()
	}
	m.Source.View(fn)
}

// TestSnapshotAndStreamOverlap: a decision while a snapshot is made is told by it
// or after it, and none is told twice that it tells already.
func TestSnapshotAndStreamOverlap(t *testing.T) {
	m := &meanwhile{}
	f := start(t, func(q Source) Source { m.Source = q; return m })
	owner := f.funded(100_000)
	f.market(owner)
	order := func() engine.Seq {
		return f.submit(&engine.PlaceOrder{Account: owner, Market: 1, Side: engine.Buy, TIF: engine.IOC, Amount: engine.One}).Seq
	}
	var seq engine.Seq
	s := f.enter(hub.Topic{})
	f.reach() // the streams look at the read model no more
	between := func() {
		seq = order()
		f.reach()
	}
	m.do.Store(&between)
	w := httptest.NewRecorder()
	last, missed, ok := f.begin(t.Context(), deadlines{w}, always, s, 0)
	if !ok || last != seq || len(missed) != 0 {
		t.Fatalf("%v: the snapshot is at %d, the order at %d, missed %v", ok, last, seq, missed)
	}
	order()
	f.reach()
	f.hub.Leave(s) // what was sent before still goes out
	f.pump(t.Context(), deadlines{w}, always, s, last, missed)
	if got := strings.Count(w.Body.String(), "event: trade"); got != 1 || !strings.Contains(w.Body.String(), fmt.Sprintf("id: %d\nevent: quote", seq+1)) {
		t.Errorf("%d trades after the snapshot, want 1:\n%s", got, w.Body)
	}
}

// slowLine runs something before each write.
type slowLine struct {
	deadlines
	before func()
}

func (s slowLine) Write(b []byte) (int, error) {
	s.before()
	return s.deadlines.Write(b)
}

// TestSnapshotOutlastsTheBuffer: what is decided while a client reads its snapshot,
// many times what its buffer holds, comes after it, and every decision of it.
func TestSnapshotOutlastsTheBuffer(t *testing.T) {
	f := start(t, nil)
	f.market(f.funded(100_000))
	f.reach()
	at := f.hub.Position()
	const n = 3 * hub.Buffer
	s := f.enter(hub.Topic{})
	w := httptest.NewRecorder()
	done := false
	last, missed, ok := f.begin(t.Context(), slowLine{deadlines{w}, func() {
		for i := range engine.Seq(n) {
			if !done {
				f.hub.Broadcast(hub.Frame{Seq: at + 1 + i, Text: fmt.Appendf(nil, "id: %d\n\n", at+1+i)})
			}
		}
		done = true
	}}, always, s, 0)
	if !ok || last != at || len(missed) != n || missed[0].Seq != at+1 {
		t.Fatalf("%v: after %d it missed %d frames, want %d after %d", ok, last, len(missed), n, at)
	}
	if testutil.ToFloat64(f.metrics.Dropped) != 0 || !strings.HasPrefix(w.Body.String(), fmt.Sprintf("id: %d\nevent: snapshot", at)) {
		t.Errorf("the stream is cut, or begins with %.60s", w.Body)
	}
}

// TestSnapshotBeginsAnew: a client that takes longer for its snapshot than what
// follows is remembered gets another, and not without end.
func TestSnapshotBeginsAnew(t *testing.T) {
	f := start(t, nil)
	f.market(f.funded(100_000))
	f.reach()
	at := f.hub.Position()
	s := f.enter(hub.Topic{})
	w := httptest.NewRecorder()
	_, _, ok := f.begin(t.Context(), slowLine{deadlines{w}, func() {
		for range 2 * hub.Remembered {
			at++
			f.hub.Broadcast(hub.Frame{Seq: at, Text: []byte("x")})
		}
	}}, always, s, 0)
	if got := strings.Count(w.Body.String(), "event: snapshot"); ok || got != snapshotTries || testutil.ToFloat64(f.metrics.Dropped) != 1 {
		t.Errorf("%v after %d snapshots, %v streams are cut", ok, got, testutil.ToFloat64(f.metrics.Dropped))
	}
}

// TestSnapshotIsShared: streams that begin together look at the markets once.
func TestSnapshotIsShared(t *testing.T) {
	l := &looks{}
	f := start(t, func(q Source) Source { l.Source = q; return l })
	f.market(f.funded(100_000))
	f.reach()
	l.count.Store(0)
	first, err := f.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	looked := l.count.Load()
	for range 10 {
		if again, err := f.snapshot(); err != nil || again.Seq != first.Seq || &again.Text[0] != &first.Text[0] {
			t.Fatalf("%v: another snapshot", err)
		}
	}
	if l.count.Load() != looked {
		t.Errorf("%d looks for ten more", l.count.Load()-looked)
	}
	f.snapshots.taken = time.Now().Add(-2 * snapshotAge)
	if again, err := f.snapshot(); err != nil || &again.Text[0] == &first.Text[0] {
		t.Errorf("%v: an old snapshot is given out", err)
	}
}

// TestSnapshotIsBounded: markets with many outcomes make it shorter, not larger,
// and the newest are in it.
func TestSnapshotIsBounded(t *testing.T) {
	f := start(t, nil)
	owner := f.funded(10_000_000)
	const n = 250
	f.categorical(owner, n)
	f.reach()
	first, err := f.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	markets := markets(t, first)
	if len(first.Text) > snapshotBytes+64<<10 || len(first.Text) < snapshotBytes || len(markets) >= n || len(markets) < n/2 {
		t.Errorf("%d bytes, %d markets", len(first.Text), len(markets))
	}
	for i, m := range markets {
		if want := n - len(markets) + i + 1; int(m.Market) != want {
			t.Fatalf("%s at place %d of %d", m.Market, i, len(markets))
		}
	}
}

// looks counts how often the read model is looked at.
type looks struct {
	Source
	count atomic.Int32
}

func (l *looks) View(fn func(*core.State)) {
	l.count.Add(1)
	l.Source.View(fn)
}

// TestSnapshotInChunks: every market is there once, from several short looks.
func TestSnapshotInChunks(t *testing.T) {
	l := &looks{}
	f := start(t, func(q Source) Source { l.Source = q; return l })
	owner := f.funded(1_000_000)
	const few, many = roster.LookOutcomes + 1, 48
	for range few {
		f.market(owner)
	}
	f.categorical(owner, many)
	f.reach()
	l.count.Store(0)
	first, err := f.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	all := markets(t, first)
	const least = 1 + (2*few+many*engine.MaxOutcomes)/roster.LookOutcomes
	if n := l.count.Load(); len(all) != few+many || n < least || n > least+2 {
		t.Errorf("%d markets in %d looks, want %d in %d", len(all), n, few+many, least)
	}
	for i, m := range all {
		if int(m.Market) != 1+i {
			t.Fatalf("%s at place %d", m.Market, i)
		}
	}
}

// deadlines takes write deadlines, as a connection does.
type deadlines struct{ *httptest.ResponseRecorder }

func (deadlines) SetWriteDeadline(time.Time) error { return nil }
