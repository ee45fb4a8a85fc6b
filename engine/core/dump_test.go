package core

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/steward"
)

func dumpOf(t failer, s *State) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Dump(&b); err != nil {
		t.Fatalf("dump: %v", err)
	}
	return b.Bytes()
}

// reloaded is what is read from the dump of a state; it is dumped as that.
func reloaded(t failer, s *State) *State {
	t.Helper()
	b := dumpOf(t, s)
	again, err := Load(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if !bytes.Equal(dumpOf(t, again), b) || again.Hash() != s.Hash() {
		t.Fatalf("sequence %d: what was read is dumped otherwise", s.Seq())
	}
	return again
}

// histories plays worlds from seeds and calls look now and then.
func histories(t *testing.T, turns int, look func(w *world, r dice)) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		r := seeded{rand.New(rand.NewPCG(seed, 3))}
		w := small(t)
		w.watch, w.bulk = nil, true
		for i := range turns {
			w.turn(r)
			if i%23 == 0 || i == turns-1 || len(w.s.f.Work) != 0 && i%3 == 0 {
				look(w, r)
			}
		}
	}
}

// Everything in a state is in its dump: what was read is the same in every field,
// the unexported ones, too, and every field was seen with something in it. A field
// that is new and not dumped fails here.
func TestDumpForgetsNothing(t *testing.T) {
	c := comparer{seen: map[string]bool{}}
	look := func(w *world, _ dice) { c.states(t, w.s.f, reloaded(t, w.s).f) }
	histories(t, 300, look)
	rarities(t, look)
	var never []string
	for field, filled := range c.seen {
		if !filled {
			never = append(never, field)
		}
	}
	slices.Sort(never)
	if !slices.Equal(never, neverFilled) {
		t.Errorf("no history put anything into %q, want %q: these say nothing", never, neverFilled)
	}
}

// neverFilled are the fields that nothing fills: fees of more than a credit for
// each unit of liquidity, and an owner of moderations.
var neverFilled = []string{"fixed.U128.Hi", "recent.kept[*github.com/mbp-market/mbp/engine.Moderated].owner"}

// rarities plays what drawn histories hardly come to: keys that end, persons,
// episodes of abuse, reports that cancel, a dispute, a mode, deadlines that are held,
// and a market that is voided step by step.
func rarities(t *testing.T, look func(*world, dice)) {
	w := small(t)
	w.watch, w.bulk, w.owing = nil, true, true
	limited := templates()[0]
	limited.ID, limited.MaxDuration, limited.Truth.MaxDisputes = "limited", int64(3600*sec), 2
	w.ok("ops", &engine.AddTemplate{Template: limited})
	w.ok("ops", &engine.AddKey{Key: engine.Key{SHA256: digest(70), Principal: "bot", Roles: engine.RoleAuditor, ID: "k7abcdef", ExpiresAt: w.now + sec}})
	person := engine.Key{SHA256: digest(71), Principal: "person-1", Roles: engine.RoleAuditor, Identity: true}
	w.ok("ops", &engine.AddKey{Key: person})
	look(w, nil)
	w.ok("ops", &engine.RevokeKey{SHA256: person.SHA256})
	w.ok("ops", &engine.AddKey{Key: person}) // it is let in again
	look(w, nil)
	w.ok("ops", &engine.OpenSeason{Name: "first", Start: w.now + 5*sec, End: w.now + 50*sec})
	w.ok("ops", &engine.OpenSeason{Name: "second", Start: w.now + 50*sec, End: w.now + 2_000_000*sec})
	w.ok("ops", &engine.SetRanking{Account: 5})
	look(w, nil)
	hook := engine.WebhookID(w.ok("ops", &engine.AddWebhook{URL: "https://a.example", Events: []string{"trade"}, Markets: []engine.MarketID{1}}).Seq)
	w.ok("ops", &engine.ChangeWebhook{Webhook: hook, Change: engine.WebhookPause, Reason: "drill"})
	look(w, nil)
	raised := engine.Seq(0)
	for i := range 120 {
		d := w.do("ana", rest(engine.AccountID(1+i%3), engine.MarketID(1+i%2*3), engine.Outcome(i%2*2), engine.Buy, 1000, engine.Price(2000+i)))
		if len(d.Events) != 0 && d.Code != engine.OK {
			raised = d.Seq
			look(w, nil)
		}
	}
	seasonal(t, w, look)
	w.now += 100 * sec
	w.ok("ops", buy(2, 4, engine.Long, 500*one)) // a spike
	look(w, nil)
	w.ok("mod", &engine.Moderate{Action: engine.DismissAbuse, Abuse: raised, EvidenceURI: "a:b", EvidenceSHA256: digest(2)})
	for _, p := range []string{"ana", "bob"} {
		w.ok(p, &engine.ReportFact{
			Market: 4, Outcome: engine.None, Cancel: engine.CancelPrice, ObservedAt: w.now, EvidenceURI: "a:b", RuleSHA256: digest(3), FactsSHA256: digest(4),
		})
	}
	look(w, nil)
	w.ok("ops", &engine.SetMode{Mode: engine.ModeLite, Reason: "drill"})
	w.ok("ops", &engine.SetDeadlines{Held: true, Reason: "drill"})
	w.ok("ops", &engine.SetGrantSchedule{Schedule: engine.GrantSchedule{Name: "daily", Period: engine.Daily, Amount: one, Cap: 9 * one, Groups: []string{"staff"}, Start: w.now, End: w.now + 86_400*9*sec}})
	w.ok("ops", &engine.SetAccountGroups{Account: 2, Groups: []string{"board", "staff"}})
	w.ok(engine.System, &engine.SetAccountGroups{Account: 3, Groups: []string{"press"}, ToldAt: w.now})
	w.ok("ops", &engine.OpenMarketFor{
		Market: engine.OpenMarket{Template: "binary@1.0.0", Title: "Inside?", Creator: 1, Liquidity: 100 * one, Price: 500_000}, Allow: []string{"staff"}, Deny: []string{"press"},
	})
	look(w, nil)
	m := w.open(engine.OpenMarket{Price: 500_000})
	w.ok("ops", rest(2, m, engine.Yes, engine.Buy, engine.One, 100_000))
	w.ok("ops", &engine.SetMarketGroups{Market: m, Deny: []string{"board"}})
	look(w, nil) // before its orders are sifted
	w.settle()
	m = w.open(engine.OpenMarket{Price: 500_000})
	w.ok("ana", propose(m, engine.No, 0))
	w.ok("dave", &engine.DisputeResolution{Market: m, EvidenceURI: "a:b", EvidenceSHA256: digest(5)})
	look(w, nil)
	w.ok("ops", &engine.SetMode{Reason: "over"})
	w.ok("ops", &engine.SetDeadlines{Reason: "over"})
	w.ok("ops", &engine.OpenAccount{})
	m = w.open(engine.OpenMarket{Price: 500_000})
	w.ok("ops", buy(2, m, engine.Yes, 200*one))
	w.now += 30 * sec
	effective := w.now
	for range engine.WorkLimit / 2 { // four changes of a balance each: more than one step of the rewind
		w.now += ms
		w.ok("ops", &engine.SplitSets{Account: 3, Market: m, Amount: one})
	}
	free, _ := w.s.f.Market(m).Held(2, 0)
	w.ok("ops", sell(2, m, engine.Yes, free/2)) // what it got is not its any more
	x := propose(m, engine.No, 0)
	x.EffectiveAt = effective
	w.ok("ana", x)
	w.ok("bob", &engine.ApproveResolution{Market: m})
	w.now += 40 * sec
	w.ticks()
	for look(w, nil); w.work(); look(w, nil) {
		if w.s.f.Market(m).State == engine.Settling {
			raised = 0
		}
	}
	w.now += 86_400 * sec
	w.ticks()
	look(w, nil) // before the grants of the day
	w.settle()
	if raised != 0 || w.s.f.Market(m).State != engine.Resolved {
		t.Fatalf("the market is %s", w.s.f.Market(m).State)
	}
}

// seasonal plays a count of which something of every kind has to be kept.
func seasonal(t *testing.T, w *world, look func(*world, dice)) {
	w.now += 10 * sec
	w.ticks()
	w.settle()
	w.ok("ops", buy(2, 1, engine.Yes, 20*one))
	w.now += 45 * sec
	w.ticks()
	if w.s.f.Seasons.Counting() == nil {
		t.Fatal("nothing is counted")
	}
	w.ok("ops", buy(2, 1, engine.Yes, 20*one))
	w.ok("ops", &engine.GrantCredits{Account: 4, Amount: one})
	w.ok("ops", &engine.SetRanking{Account: 3})
	look(w, nil)
	w.fold(&engine.CountSeason{}, steward.Count(w.s.f, 1, 1)) // in the midst of an account
	look(w, nil)
	w.settle()
	if x := w.s.Seasons(); len(x) != 2 || x[0].State != engine.SeasonEnded || x[0].Accounts == 0 || x[1].State != engine.SeasonRunning {
		t.Fatalf("%+v", x)
	}
	look(w, nil)
}

// A state that was read decides and folds on as the one that was dumped: equal
// commands give equal bytes, for long.
func TestLoadedStateGoesOn(t *testing.T) {
	lookAt := 0
	histories(t, 150, func(w *world, r dice) {
		if lookAt++; lookAt%4 != 0 {
			return
		}
		twin := &world{t: t, s: reloaded(t, w.s), now: w.now, log: slices.Clone(w.log), bulk: true, owing: w.owing}
		mine := &world{t: t, s: reloaded(t, w.s), now: w.now, log: slices.Clone(w.log), bulk: true, owing: w.owing}
		// The original goes on as mine does: from its own memory, with all that is not dumped.
		mine.s, w.s = w.s, mine.s
		w.watch = nil
		a, b := rand.New(rand.NewPCG(7, uint64(lookAt))), rand.New(rand.NewPCG(7, uint64(lookAt)))
		for range 60 {
			mine.turn(seeded{a})
			twin.turn(seeded{b})
		}
		mine.settle()
		twin.settle()
		for i := len(w.log); i < max(len(mine.log), len(twin.log)); i++ {
			if i >= len(twin.log) || i >= len(mine.log) || !bytes.Equal(mine.log[i], twin.log[i]) {
				t.Fatalf("decision %d differs after a load at %d", i+1, len(w.log))
			}
		}
		if mine.s.Hash() != twin.s.Hash() {
			t.Fatalf("the states differ after a load at %d", len(w.log))
		}
		if err := twin.s.Check(); err != nil {
			t.Fatal(err)
		}
	})
	if lookAt < 8 {
		t.Fatal("it was hardly looked at")
	}
}

// Dumps of former versions of the form are read, or refused as what they are.
// Where this one fails, the form has changed: raise fold.DumpVersion, and put a
// dump of it beside this with MBP_REWRITE=1.
func TestDumpsOfEveryVersion(t *testing.T) {
	name := filepath.Join("testdata", "dump", "v7")
	if fold.DumpVersion != 7 {
		t.Fatal("name the dump of this version")
	}
	for _, was := range []string{"v1", "v2", "v3", "v4", "v5", "v6"} {
		former, err := os.ReadFile(filepath.Join("testdata", "dump", was))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Load(bytes.NewReader(former)); !errors.Is(err, ErrDump) {
			t.Errorf("a dump of version %s: %v", was, err)
		}
	}
	if os.Getenv("MBP_REWRITE") == "1" {
		w := small(t)
		r := seeded{rand.New(rand.NewPCG(1, 3))}
		for range 150 {
			w.turn(r)
		}
		if err := os.WriteFile(name, dumpOf(t, w.s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Load(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("a dump of this version: %v", err)
	}
	if !bytes.Equal(dumpOf(t, s), b) {
		t.Error("it is dumped otherwise now")
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	if s.Seq() < 100 || len(s.f.Markets) < 5 {
		t.Errorf("it has %d decisions and %d markets", s.Seq(), len(s.f.Markets))
	}
	_, n := binary.Uvarint(b) // the version is the first number of the first block
	b[n]++
	if _, err := Load(bytes.NewReader(b)); !errors.Is(err, ErrDump) {
		t.Errorf("a dump of the next version: %v", err)
	}
}

// A dump that is cut, changed or of nothing is refused, or is another state; no
// byte of it is without meaning, and none makes a reader take much memory.
func TestLoadRefusesDamage(t *testing.T) {
	w := small(t)
	r := seeded{rand.New(rand.NewPCG(2, 3))}
	for range 60 {
		w.turn(r)
	}
	b := dumpOf(t, w.s)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tries := 0
	for i := 0; i < len(b); i += 1 + len(b)/1500 {
		for _, v := range []byte{0xff, b[i] ^ 1, 0} {
			if v == b[i] {
				continue
			}
			bad := slices.Clone(b)
			bad[i] = v
			tries++
			s, err := Load(bytes.NewReader(bad))
			if err == nil && bytes.Equal(dumpOf(t, s), b) {
				t.Fatalf("byte %d means nothing", i)
			}
			if err != nil && !errors.Is(err, ErrDump) {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / uint64(tries); each > 100*uint64(len(b)) {
		t.Errorf("a damaged dump of %d bytes takes %d to read", len(b), each)
	}
	for n := 0; n < len(b); n += 101 {
		if _, err := Load(bytes.NewReader(b[:n])); !errors.Is(err, ErrDump) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	broken := errors.New("broken")
	if err := w.s.Dump(failing{broken}); !errors.Is(err, broken) {
		t.Errorf("a writer's error: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// FuzzLoad: hostile bytes are an error or a state with exactly that dump.
func FuzzLoad(f *testing.F) {
	var b bytes.Buffer
	if err := New().Dump(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	w := small(f)
	f.Add(dumpOf(f, w.s))
	r := seeded{rand.New(rand.NewPCG(5, 3))}
	for range 5 {
		for range 40 {
			w.turn(r)
		}
		f.Add(dumpOf(f, w.s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Load(bytes.NewReader(b))
		switch {
		case err != nil && !errors.Is(err, ErrDump):
			t.Fatalf("another error: %v", err)
		case err == nil && !bytes.Equal(dumpOf(t, s), b):
			t.Fatal("accepts a form that nobody writes")
		}
	})
}

// An empty state has a dump, and goes on as one.
func TestDumpOfNothing(t *testing.T) {
	s := reloaded(t, New())
	var d engine.Decision
	if err := s.Step(engine.Request{At: testStart, Principal: "boot", Command: &engine.OpenAccount{}}, &d); err != nil || d.Code != engine.WrongState {
		t.Fatalf("%s %v", d.Code, err)
	}
	if reflect.DeepEqual(s.f.Seq, New().f.Seq) {
		t.Fatal("it did not go on")
	}
}

// What waits for people follows from the state alone: it is what the events say.
func TestWaitingIsWhatEventsSay(t *testing.T) {
	both := [2]int{}
	look := func(w *world, _ dice) {
		t.Helper()
		overdue, frozen := map[engine.MarketID]bool{}, map[engine.MarketID]bool{}
		for i, b := range w.log {
			d, err := engine.Decode(engine.Seq(i+1), b)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range d.Events {
				switch x := e.(type) {
				case *engine.SLABreached:
					overdue[x.Market] = true
				case *engine.MarketStateChanged:
					if x.To != engine.Disputed {
						delete(overdue, x.Market)
					}
					if delete(frozen, x.Market); x.To == engine.Frozen {
						frozen[x.Market] = true
					}
				}
			}
		}
		both[0], both[1] = both[0]+len(frozen), both[1]+len(overdue)
		w.s.Waiting(func(m engine.MarketID, f, o bool) {
			if f != frozen[m] || o != overdue[m] {
				t.Fatalf("market %d: frozen %t, overdue %t; by its events %t and %t", m, f, o, frozen[m], overdue[m])
			}
			delete(frozen, m)
			delete(overdue, m)
		})
		if len(frozen)+len(overdue) != 0 {
			t.Fatalf("frozen %v and overdue %v are not told", frozen, overdue)
		}
	}
	histories(t, 400, look)
	w := small(t)
	w.watch = nil
	for range 20 { // market 2 has a guard and an SLA
		w.now += 20 * sec
		w.do("ops", buy(2, 2, engine.Yes, 20*one))
		look(w, nil)
	}
	w.do("ops", &engine.ReopenMarket{Market: 2})
	w.ok("ops", &engine.CloseMarket{Market: 2})
	for range 3 {
		w.now += 200 * sec
		w.ticks()
		look(w, nil)
	}
	w.ok("ana", propose(2, engine.Yes, 0))
	look(w, nil)
	if both[0] == 0 || both[1] == 0 {
		t.Errorf("%d frozen and %d overdue markets: the histories say nothing", both[0], both[1])
	}
}

// A print changes with whatever a decision did to its account or its market, and
// two states of one journal have the same.
func TestPrints(t *testing.T) {
	w := small(t)
	r := seeded{rand.New(rand.NewPCG(11, 3))}
	for range 200 {
		w.turn(r)
	}
	twin := reloaded(t, w.s)
	for a := range engine.AccountID(8) {
		for m := range engine.MarketID(8) {
			if p, q := w.s.Print(a, m), twin.Print(a, m); p != q {
				t.Fatalf("account %d, market %d: %x and %x", a, m, p.Sum, q.Sum)
			}
		}
	}
	w.settle()
	w.do("ops", &engine.SetMode{Reason: "as it was"})
	m := w.open(engine.OpenMarket{Price: 500_000})
	for _, c := range []engine.Command{
		&engine.GrantCredits{Account: 1, Amount: 1000 * one}, &engine.SplitSets{Account: 1, Market: m, Amount: one},
		rest(1, m, engine.Yes, engine.Buy, 1_000_000, 20_000), buy(1, m, engine.Yes, one),
	} {
		before, other := w.s.Print(1, m), w.s.Print(2, 3)
		w.ok("ops", c)
		if w.s.Print(1, m) == before || w.s.Print(2, 3) != other {
			t.Errorf("%s: its own print stays: %t, another changes: %t", c.Type(), w.s.Print(1, m) == before, w.s.Print(2, 3) != other)
		}
	}
}
