package core

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/season"
	"github.com/mbp-market/mbp/engine/internal/steward"
)

// reckoned is what every account has at a moment, from what anybody may see: credits,
// shares at published prices, and the part of the pools. Of markets that pay by their
// outcome or by prices it is what they then pay.
func reckoned(t *testing.T, s *State) []engine.Micros {
	t.Helper()
	out := make([]engine.Micros, s.AccountCount())
	twin := reloaded(t, s)
	for i := range out {
		v, _ := s.Account(engine.AccountID(i + 1))
		out[i] = v.Available + v.Reserved
	}
	for id := engine.MarketID(1); int(id) <= s.MarketCount(); id++ {
		m := s.f.Market(id)
		if m.State == engine.Settling && (m.End.How == engine.EndByOutcome || m.End.How == engine.EndByPrice) {
			for twin.f.Market(id).State == engine.Settling {
				var d engine.Decision
				if err := twin.Step(engine.Request{At: s.At(), Principal: engine.System, Command: &engine.SettleMarket{Market: id}}, &d); err != nil || d.Code != engine.OK {
					t.Fatalf("settle %s: %s %v", id, d.Code, err)
				}
				for _, e := range d.Events {
					if x, is := e.(*engine.SettlementStepped); is {
						for _, p := range x.Payouts {
							out[p.Account-1] += p.Credits
						}
					}
				}
			}
			continue
		}
		if m.State == engine.Resolved || m.State == engine.Canceled {
			continue
		}
		pools := engine.Micros(0)
		for o, q := range m.Balance.Pools() { // in parts per million of micros, as below
			pools += engine.Micros(q) * engine.Micros(m.Prices[o])
		}
		for i := range out {
			shares := engine.Micros(0)
			for o := range m.Outcomes() {
				free, held := m.Held(engine.AccountID(i+1), o)
				shares += engine.Micros(free+held) * engine.Micros(m.Prices[o])
			}
			out[i] += shares / one
			if all := engine.Micros(m.Balance.Units()); all > 0 {
				out[i] += portion(pools/one, engine.Micros(s.Units(engine.AccountID(i+1), id)), all)
			}
		}
	}
	return out
}

// portion is ⌊whole·n/of⌋ by long multiplication in halves.
func portion(whole, n, of engine.Micros) engine.Micros {
	q, r := engine.Micros(0), engine.Micros(0)
	for bit := 62; bit >= 0; bit-- {
		q, r = 2*q, 2*r
		if whole>>bit&1 == 1 {
			r += n
		}
		q, r = q+r/of, r%of
	}
	return q
}

// turns counts what happened in the histories of a test.
type turns struct{ counts, ends, paying, lines, cut int }

// league plays a history with seasons in which counts are cut into pieces at random, with
// anything between them, and holds each against what a copy of the state has at the
// moment.
type league struct {
	t    *testing.T
	w    *world
	r    dice
	base map[engine.AccountID]engine.Micros // at the begin of the season that runs, and granted since
	seen *turns
}

// granted adds up what the journal says was granted from a decision on.
func (l *league) granted(from int) {
	for i := from; i < len(l.w.log); i++ {
		d, err := engine.Decode(engine.Seq(i+1), l.w.log[i])
		if err != nil {
			l.t.Fatal(err)
		}
		for _, e := range d.Events {
			if x, is := e.(*engine.CreditsGranted); is && l.base != nil {
				l.base[x.Account] += x.Amount
			}
		}
	}
}

// due acts on deadlines until a count begins.
func (l *league) due() {
	for l.w.s.f.Seasons.Counting() == nil {
		c, is := l.w.s.Due(l.w.now).(*engine.Tick)
		if !is {
			return
		}
		l.w.give(engine.System, c)
	}
}

// act gives a command, or does a piece of what a market owes.
func (l *league) act() {
	w, from := l.w, len(l.w.log)
	switch k := l.r.pick(12); {
	case k < 4 && len(w.s.f.Work) != 0:
		w.give(engine.System, &engine.SettleMarket{Market: w.s.f.Work[l.r.pick(len(w.s.f.Work))]})
	case k == 4:
		w.give("ops", w.season(l.r))
	case k == 5:
		w.give("ops", &engine.GrantCredits{Account: engine.AccountID(1 + l.r.pick(5)), Amount: one})
	case k < 8:
		w.give(principals[l.r.pick(len(principals))], w.life(l.r, engine.MarketID(1+l.r.pick(w.s.MarketCount()))))
	default:
		w.give(principals[l.r.pick(len(principals))], w.command(l.r))
	}
	l.granted(from)
}

// turn plays on; where a count begins it is played to its end.
func (l *league) turn() {
	l.w.now += among(l.r, 0, ms, 100*ms, sec, 10*sec, 40*sec)
	for l.due(); l.w.s.f.Seasons.Counting() != nil; l.due() {
		l.count()
	}
	l.act()
}

// count plays a count to its end.
func (l *league) count() {
	w, s := l.w, l.w.s.f
	ends, begins := s.Seasons.Counting().Seasons()
	worth, ranked := reckoned(l.t, w.s), map[engine.AccountID]bool{}
	for i := range worth {
		ranked[engine.AccountID(i+1)] = w.s.f.Ranked(engine.AccountID(i + 1))
	}
	l.conserved(worth)
	var want []season.Standing
	for i, v := range worth {
		if id := engine.AccountID(i + 1); ends != "" && ranked[id] && v != l.base[id] {
			want = append(want, season.Standing{Account: uint32(id), Profit: v - l.base[id]})
		}
	}
	slices.SortStableFunc(want, func(a, b season.Standing) int { return cmp.Compare(b.Profit, a.Profit) })
	if l.base = nil; begins != "" {
		l.base = map[engine.AccountID]engine.Micros{}
		for i, v := range worth {
			l.base[engine.AccountID(i+1)] = v
		}
	}
	l.seen.counts++
	for s.Seasons.Counting() != nil {
		for range l.r.pick(5) { // whatever else is done meanwhile
			l.act()
			l.seen.cut++
		}
		if l.r.pick(4) == 0 {
			w.s = reloaded(l.t, w.s)
			s = w.s.f
		}
		w.fold(&engine.CountSeason{}, steward.Count(s, 1+l.r.pick(3), 1+l.r.pick(9)))
	}
	if ends == "" {
		return
	}
	l.seen.ends++
	l.seen.lines += len(want)
	got := s.Seasons.Find(ends)
	if !slices.Equal(got.Standings, want) {
		l.t.Fatalf("season %s: %v, want %v", ends, got.Standings, want)
	}
}

// conserved holds what accounts have against all credits: what nobody has is the
// platform's, a market's fees and dust, or was rounded away.
func (l *league) conserved(worth []engine.Micros) {
	house, sum, pays, pairs := l.w.s.House(), engine.Micros(0), false, engine.Micros(0)
	for _, v := range worth {
		sum += v
	}
	for _, m := range l.w.s.f.Markets {
		pays = pays || m.State == engine.Settling
		pairs += 2 * engine.Micros(m.Balance.Holders()+1)
	}
	rest := house.Issued - house.Platform - sum
	if pays {
		l.seen.paying++
	} else {
		rest -= house.Fees + house.Rounding
	}
	if rest < 0 || !pays && rest > pairs {
		l.t.Fatalf("accounts have %d of %+v: %d too few, with %d roundings", sum, house, rest, pairs)
	}
}

// In histories of every command, each season's standings are what the accounts had at
// its two moments, less what was granted between, however the count is cut and whatever
// comes between its pieces: trades, grants, settlements, markets that open and end, who
// may be ranked, another life of the state.
func TestSeasonsCountOneMoment(t *testing.T) {
	seeds, seen := uint64(24), turns{}
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		r := seeded{rand.New(rand.NewPCG(seed, 77))}
		w := small(t)
		w.watch, w.bulk, w.owing = nil, true, true
		l := &league{t: t, w: w, r: r, seen: &seen}
		for range 200 {
			l.turn()
		}
		w.settle()
		if err := w.s.Check(); err != nil {
			t.Fatal(err)
		}
		if err := w.refold(); err != nil {
			t.Fatal(err)
		}
	}
	if seen.ends < int(seeds) || seen.lines < seen.ends || seen.cut < 3*seen.counts || !testing.Short() && seen.paying == 0 {
		t.Errorf("%+v: the histories say nothing", seen)
	}
}

// placed is the ranks and accounts that the standings of a season show.
func (w *world) placed(name string) (out [][2]int) {
	w.t.Helper()
	lines, next, ok := w.s.Standings(name, 0, 1000)
	if !ok || next != 0 {
		w.t.Fatalf("season %s has no standings, or more than those up to %d", name, next)
	}
	for _, x := range lines {
		out = append(out, [2]int{x.Rank, int(x.Account)})
	}
	return out
}

// turned does what is due, whatever follows from it.
func (w *world) turned() {
	w.t.Helper()
	for w.ticks(); w.work(); w.ticks() {
	}
}

// compete plays a season in which accounts 1 to 7 buy what rises, each later and so at a
// worse price, and account 8 pays for it.
func (w *world) compete(name string, meanwhile func()) {
	w.t.Helper()
	w.ok("ops", &engine.OpenSeason{Name: name, End: w.now + 100*sec})
	m := w.open(engine.OpenMarket{Creator: 8, Price: 500_000, Liquidity: 300 * one})
	for a := engine.AccountID(1); a < 8; a++ {
		w.do("t", buy(a, m, engine.Yes, 10*one)) // who is frozen gets nothing
	}
	w.ok("ops", &engine.GrantCredits{Account: 3, Amount: 500 * one})
	meanwhile()
	w.now += 100 * sec
	w.ticks()
	w.settle()
}

// Who does not want to be ranked, works for the house, is frozen or was erased stands in
// no standings; those that stand keep their ranks whatever becomes of others.
func TestStandingsArePrivate(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.bulk = true
	w.rich(8, 1000*one)
	freeze := &engine.Moderate{Action: engine.Freeze, Account: 4, EvidenceURI: "a:b", EvidenceSHA256: digest(2)}
	var frozen engine.Seq
	w.compete("spring", func() {
		w.ok("p1", &engine.SetRanking{Account: 1})
		w.ok("admin", &engine.AddKey{Key: keyOf(50, engine.RoleTrader|engine.RoleModerator, 2)})
		w.ok("admin", &engine.AddKey{Key: keyOf(51, engine.RoleTrader, 3)})
	})
	if got := w.placed("spring"); !slices.Equal(got, [][2]int{{1, 3}, {2, 4}, {3, 5}, {4, 6}, {5, 7}, {6, 8}}) {
		t.Fatalf("spring: %v", got)
	}
	if x, ok := w.s.RankIn("spring", 5); !ok || x.Rank != 3 || x.Profit <= 0 {
		t.Errorf("%+v", x)
	}
	if x, ok := w.s.RankIn("spring", 1); ok {
		t.Errorf("who is not ranked has %+v", x)
	}
	w.ok("p1", &engine.SetRanking{Account: 1, Ranked: true})
	w.ok("admin", &engine.RevokeKey{SHA256: digest(50)})
	frozen = w.ok("mod", freeze).Seq
	w.ok("p6", &engine.SetRanking{Account: 6})
	if got := w.placed("spring"); !slices.Equal(got, [][2]int{{1, 3}, {3, 5}, {5, 7}, {6, 8}}) {
		t.Fatalf("spring, without 4 and 6: %v", got)
	}
	w.compete("summer", func() {})
	if got := w.placed("summer"); !slices.Equal(got, [][2]int{{1, 1}, {2, 2}, {3, 3}, {4, 5}, {5, 7}, {6, 8}}) {
		t.Fatalf("summer: %v", got)
	}
	w.ok("mod", &engine.UndoModeration{Decision: frozen})
	w.ok("p6", &engine.SetRanking{Account: 6, Ranked: true})
	w.ok("ops", &engine.SetAccountGroups{Account: 5, Groups: []string{"night-shift"}})
	w.ok("admin", &engine.ErasePerson{Account: 5})
	if got := w.placed("spring"); !slices.Equal(got, [][2]int{{1, 3}, {2, 4}, {4, 6}, {5, 7}, {6, 8}}) {
		t.Fatalf("spring, without 5: %v", got)
	}
	if x, ok := w.s.RankIn("spring", 5); ok {
		t.Errorf("who was erased has %+v", x)
	}
	if g, _ := w.s.Groups(5); len(g.Given) != 0 || bytes.Contains(dumpOf(t, w.s), []byte("night-shift")) {
		t.Errorf("who was erased is in %v", g.Given)
	}
	w.refuses(&engine.SetRanking{Account: 5}, engine.WrongState)
	w.refuses(&engine.SetRanking{Account: 99}, engine.AccountNotFound)
	w.refuses(&engine.SetRanking{Account: 6, Ranked: true}, engine.AlreadyExists)
	if err := w.refold(); err != nil {
		t.Fatal(err)
	}
}

// Seasons do not overlap, end early, are withdrawn before they begin, and are bounded.
// Held deadlines hold them, too; whatever was missed comes afterwards.
func TestSeasonsAreAnnounced(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.rich(2, 1000*one)
	open := func(name string, start, end engine.Time) *engine.OpenSeason {
		return &engine.OpenSeason{Name: name, Start: w.now + start*sec, End: w.now + end*sec}
	}
	w.ok("ops", open("one", 10, 20))
	w.refuses(open("one", 20, 30), engine.AlreadyExists)
	w.refuses(open("two", 19, 30), engine.WrongState)
	w.refuses(open("two", 0, 11), engine.WrongState)
	w.refuses(open("two", -1, 5), engine.InvalidCommand)
	w.refuses(open("two", 5, 5), engine.InvalidCommand)
	w.refuses(open("Two", 5, 6), engine.InvalidCommand)
	w.ok("ops", open("two", 20, 30))
	w.ok("ops", open("three", 40, 50))
	w.refuses(&engine.EndSeason{Name: "none"}, engine.NotFound)
	w.ok("ops", &engine.EndSeason{Name: "three"}) // it has not begun
	for i := range engine.Time(engine.MaxSeasons - 2) {
		w.ok("ops", open("x"+string('a'+rune(i)), 100+i, 101+i))
	}
	w.refuses(open("more", 1000, 1001), engine.LimitReached)
	start := w.now
	w.ok("ops", &engine.SetDeadlines{Held: true, Reason: "drill"})
	w.now += 25 * sec
	w.ok("ops", &engine.OpenAccount{})
	if x := w.s.Seasons()[0]; x.State != engine.SeasonAnnounced {
		t.Errorf("deadlines are held, and %s is %s", x.Name, x.State)
	}
	w.ok("ops", &engine.SetDeadlines{Reason: "over"})
	w.turned()
	if x := w.s.Seasons(); x[0].State != engine.SeasonEnded || *x[0].EndedAt != w.now || x[1].State != engine.SeasonRunning || *x[1].BeganAt != w.now || x[1].Start != start+20*sec {
		t.Errorf("%+v", x[:2])
	}
	if _, _, ok := w.s.Profits(1, nil); !ok {
		t.Error("the season that runs has no profits")
	}
	w.now += sec
	w.ok("ops", &engine.EndSeason{Name: "two"})
	w.turned()
	if x := w.s.Seasons()[1]; x.State != engine.SeasonEnded || *x.EndedAt != w.now || x.End != w.now {
		t.Errorf("%+v", x)
	}
	w.refuses(&engine.EndSeason{Name: "two"}, engine.WrongState)
	if _, _, ok := w.s.Profits(1, nil); ok {
		t.Error("no season runs, and there are profits")
	}
	if err := w.refold(); err != nil {
		t.Fatal(err)
	}
}

// The profits that are told while a season runs are those that its end would count.
func TestProfitsAreThoseOfTheEnd(t *testing.T) {
	r := seeded{rand.New(rand.NewPCG(4, 77))}
	w := small(t)
	w.watch, w.bulk = nil, true
	w.ok("ops", &engine.OpenSeason{Name: "spring", End: w.now + 86_400*sec})
	for range 200 {
		w.turn(r)
	}
	if x := w.s.f.Seasons.Find("spring"); x.State == engine.SeasonRunning {
		live, next, ok := w.s.Profits(1, nil)
		if !ok || next != 0 || len(live) < 3 {
			t.Fatalf("%v to %d", live, next)
		}
		w.ok("ops", &engine.EndSeason{Name: "spring"})
		w.settle()
		want := map[engine.AccountID]engine.Micros{}
		for _, y := range x.Standings {
			want[engine.AccountID(y.Account)] = y.Profit
		}
		for _, y := range live {
			if want[y.Account] != y.Profit {
				t.Errorf("%s has %d, at the end %d", y.Account, y.Profit, want[y.Account])
			}
			delete(want, y.Account)
		}
		if len(want) != 0 {
			t.Errorf("nobody tells of %v", want)
		}
		return
	}
	t.Fatal("the season does not run")
}
