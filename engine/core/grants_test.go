package core

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
)

func at(text string) engine.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return engine.Time(t.UnixMicro())
}

// The begins of periods, against the calendar of the standard library.
func TestPeriodsFollowTheCalendar(t *testing.T) {
	for _, c := range []struct {
		of         engine.Period
		from, want string
	}{
		{engine.Daily, "2026-01-02T12:00:00Z", "2026-01-03T00:00:00Z"},
		{engine.Daily, "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z"},
		{engine.Weekly, "2026-01-02T12:00:00Z", "2026-01-05T00:00:00Z"},
		{engine.Weekly, "2026-01-05T00:00:00Z", "2026-01-05T00:00:00Z"},
		{engine.Weekly, "2026-01-05T00:00:01Z", "2026-01-12T00:00:00Z"},
		{engine.Monthly, "2026-01-02T12:00:00Z", "2026-02-01T00:00:00Z"},
		{engine.Monthly, "2028-02-01T00:00:00Z", "2028-02-01T00:00:00Z"},
		{engine.Monthly, "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"},
		{engine.Monthly, "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"},
	} {
		if got := c.of.Begin(at(c.from)); got != at(c.want) {
			t.Errorf("period %d from %s begins %s, want %s", c.of, c.from, got, c.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		from := engine.Time(r.Int64N(int64(4_000_000_000 * sec)))
		for _, p := range []engine.Period{engine.Daily, engine.Weekly, engine.Monthly} {
			got := p.Begin(from).Time()
			y, m, d := from.Time().Date()
			want := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
			for want.Before(from.Time()) || p == engine.Weekly && want.Weekday() != time.Monday || p == engine.Monthly && want.Day() != 1 {
				want = want.AddDate(0, 0, 1)
			}
			if !got.Equal(want) {
				t.Fatalf("period %d from %s begins %s, want %s", p, from, got, want)
			}
		}
	}
}

// paid adds up what a journal says was granted by schedules, and fails where an account
// was granted twice in a period, or to one that was not there when it began.
func paid(t *testing.T, log [][]byte, from int) map[engine.AccountID]engine.Micros {
	t.Helper()
	type one struct {
		name    string
		period  engine.Time
		account engine.AccountID
	}
	got, seen, last := map[engine.AccountID]engine.Micros{}, map[one]bool{}, engine.AccountID(0)
	for i := from; i < len(log); i++ {
		d, err := engine.Decode(engine.Seq(i+1), log[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range d.Events {
			switch x := e.(type) {
			case *engine.GrantsBegun:
				last = x.Last
			case *engine.GrantsPaid:
				if len(x.Grants) > engine.WorkLimit {
					t.Errorf("%d grants in a decision", len(x.Grants))
				}
				for _, p := range x.Grants {
					k := one{x.Name, x.Period, p.Account}
					if seen[k] || p.Account > last {
						t.Errorf("%v is granted twice, or came too late", k)
					}
					seen[k] = true
					got[p.Account] += p.Credits
				}
			}
		}
	}
	return got
}

// Each account of the groups gets what a period grants once, up to the cap, whatever
// comes between the pieces: other commands, accounts that are new, deadlines that are
// held over several periods, a state that was dumped and loaded.
func TestGrantsComeOncePerPeriod(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.bulk, w.owing = true, true
	for range 2500 {
		w.ok("ops", &engine.OpenAccount{})
	}
	w.ok("ops", &engine.GrantCredits{Account: 1, Amount: 95 * one})
	w.ok("ops", &engine.SetAccountGroups{Account: 2, Groups: []string{"guests"}})
	begin := len(w.log)
	w.ok("ops", &engine.SetGrantSchedule{Schedule: engine.GrantSchedule{Name: "daily", Period: engine.Daily, Amount: 10 * one, Cap: 100 * one}})
	w.ok("ops", &engine.SetGrantSchedule{Schedule: engine.GrantSchedule{Name: "guests", Period: engine.Weekly, Amount: one, Groups: []string{"guests"}, End: at("2026-01-12T00:00:00Z")}})
	w.now = at("2026-01-03T00:00:00Z")
	w.ticks()
	pieces := 0
	for w.work() {
		if pieces++; pieces == 1 { // more accounts, a change that is refused, another life
			w.ok("ops", &engine.OpenAccount{})
			if d := w.do("ops", &engine.SetGrantSchedule{Schedule: engine.GrantSchedule{Name: "daily", Period: engine.Daily, Amount: one}}); d.Code != engine.WrongState {
				t.Errorf("a change in a round: %s", d.Code)
			}
			w.s = reloaded(t, w.s)
		}
	}
	if pieces != 3 {
		t.Errorf("%d pieces for 2500 accounts", pieces)
	}
	got := paid(t, w.log, begin)
	if len(got) != 2500 || got[1] != 5*one || got[2500] != 10*one {
		t.Errorf("%d accounts; the first got %d, the last %d", len(got), got[1], got[2500])
	}
	w.ok("ops", &engine.SetDeadlines{Held: true, Reason: "drill"})
	w.now = at("2026-01-06T06:00:00Z") // three days, and a Monday
	w.ok("ops", &engine.OpenAccount{})
	if w.work() {
		t.Error("deadlines are held, and something is granted")
	}
	w.ok("ops", &engine.SetDeadlines{Reason: "over"})
	w.ticks()
	for w.work() {
		w.ticks()
	}
	got = paid(t, w.log, begin)
	if got[2500] != 40*one || got[2] != 41*one || got[2502] != 30*one || got[1] != 5*one {
		t.Errorf("after three days: %d %d %d %d", got[2500], got[2], got[2502], got[1])
	}
	w.now = at("2026-02-01T00:00:00Z")
	for w.ticks(); w.work(); w.ticks() { // the schedule of guests is over
	}
	if got = paid(t, w.log, begin); got[2] != 100*one || len(w.s.Schedules()) != 1 {
		t.Errorf("at the cap: %d; schedules %v", got[2], w.s.Schedules())
	}
	w.ok("ops", &engine.EndGrantSchedule{Name: "daily"})
	if _, due := w.s.Deadline(); due || len(w.s.Schedules()) != 0 {
		t.Error("a schedule that ended is still waited for")
	}
	if err := w.s.Check(); err != nil {
		t.Fatal(err)
	}
	if err := w.refold(); err != nil {
		t.Fatal(err)
	}
}

// In histories of every command with schedules that come and go, nobody is granted
// twice in a period and all credits are conserved.
func TestGrantsInHistories(t *testing.T) {
	seeds, rounds := uint64(12), 0
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		r := seeded{rand.New(rand.NewPCG(seed, 12))}
		w := small(t)
		w.watch, w.bulk = nil, true
		for range 300 {
			switch r.pick(12) {
			case 0:
				x := engine.GrantSchedule{
					Name: []string{"a", "b", "c"}[r.pick(3)], Period: engine.Period(r.pick(4)), Amount: engine.Micros(size(r)), Cap: engine.Micros(size(r)), Groups: some(r),
				}
				if r.pick(3) == 0 {
					x.End = w.now + engine.Time(r.pick(40))*86_400*sec
				}
				w.do("ops", &engine.SetGrantSchedule{Schedule: x})
			case 1:
				w.do("ops", &engine.EndGrantSchedule{Name: []string{"a", "b", "c"}[r.pick(3)]})
			case 2:
				w.now += engine.Time(r.pick(3)) * 86_400 * sec
			case 3:
				w.do(w.grouping(r))
			default:
				w.turn(r)
			}
		}
		w.settle()
		rounds += len(paid(t, w.log, 0))
		if err := w.s.Check(); err != nil {
			t.Fatal(err)
		}
		if err := w.refold(); err != nil {
			t.Fatal(err)
		}
	}
	if rounds == 0 {
		t.Error("nothing was ever granted")
	}
}
