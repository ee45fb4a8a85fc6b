package rate

import (
	"testing"
	"time"
)

// TestLimiter: a burst, then the rate; a bucket that is full again is forgotten.
func TestLimiter(t *testing.T) {
	l := New[string](Limit{PerSecond: 10, Burst: 3})
	const each = time.Second / 10
	at := time.Hour
	for i := range 3 {
		if wait := l.Take("ana", at, 1); wait != 0 {
			t.Fatalf("request %d waits %s", i, wait)
		}
	}
	if wait := l.Take("ana", at, 1); wait != each {
		t.Errorf("the fourth waits %s, want %s", wait, each)
	}
	if wait := l.Take("bob", at, 1); wait != 0 {
		t.Errorf("somebody else waits %s", wait)
	}
	if wait := l.Take("ana", at+each-1, 1); wait != 1 {
		t.Errorf("a moment too early: %s", wait)
	}
	if wait := l.Take("ana", at+each, 1); wait != 0 {
		t.Errorf("after the wait: %s", wait)
	}
	for end := at + 100*each; at < end; at += each { // the rate itself, over many turns
		if wait := l.Take("ana", at+each, 1); at > time.Hour && wait != 0 {
			t.Fatalf("at the rate: %s", wait)
		}
	}
	l.Take("eve", at+time.Hour, 1)
	l.Take("eve", at+2*time.Hour, 1)
	if len(l.fresh)+len(l.stale) != 2 {
		t.Errorf("%d and %d buckets are kept", len(l.fresh), len(l.stale))
	}
	if wait := New[string](Limit{}).Take("ana", at, 1); wait != 0 {
		t.Errorf("no limit: %s", wait)
	}
}

// TestLimiterIsBounded: it forgets before it grows.
func TestLimiterIsBounded(t *testing.T) {
	l := New[int](Limit{PerSecond: 1, Burst: 1000})
	for who := range 3 * maxBuckets {
		l.Take(who, time.Hour, 1)
	}
	if n := len(l.fresh) + len(l.stale); n > 2*maxBuckets {
		t.Errorf("%d buckets", n)
	}
}

func TestRatesAreValidated(t *testing.T) {
	for _, r := range []Limit{{-1, 5}, {0, 5}, {5, 0}, {5, -1}, {MaxPerSecond + 1, 1}, {1, MaxPerSecond + 1}} {
		if r.Validate() == nil {
			t.Errorf("%+v passes", r)
		}
	}
	for _, r := range []Limit{{}, {1, 1}, Traders, Staff, Reads} {
		if err := r.Validate(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// TestTokens: a divided limit is a request that takes several tokens.
func TestTokens(t *testing.T) {
	l := New[string](Limit{PerSecond: 10, Burst: 8})
	const each = time.Second / 10
	at := time.Hour
	for i := range 2 {
		if wait := l.Take("ana", at, 4); wait != 0 {
			t.Fatalf("request %d waits %s", i, wait)
		}
	}
	if wait := l.Take("ana", at, 4); wait != 4*each {
		t.Errorf("the third waits %s, want %s", wait, 4*each)
	}
	if wait := l.Take("ana", at+each, 1); wait != 0 {
		t.Errorf("undivided it waits %s", wait)
	}
	if wait := l.Take("bob", at, 100); wait != 0 {
		t.Errorf("more tokens than there can be: waits %s", wait)
	}
	if wait := l.Take("bob", at, 100); wait != 100*each {
		t.Errorf("the next of them waits %s, want %s", wait, 100*each)
	}
}

// TestCharge: what a request turned out to cost may be owed, up to a burst, and is
// not forgotten while it is.
func TestCharge(t *testing.T) {
	l := New[string](Limit{PerSecond: 10, Burst: 5})
	const each = time.Second / 10
	at := time.Hour
	l.Charge("ana", at, 7)
	if wait := l.Take("ana", at, 1); wait != 3*each {
		t.Errorf("two tokens are owed: waits %s", wait)
	}
	l.Charge("ana", at, 1_000_000)
	l.Charge("ana", at, 0)
	if wait := l.Take("ana", at, 1); wait != 6*each {
		t.Errorf("more is owed than a burst: waits %s", wait)
	}
	for now := at; now < at+6*each; now += each { // others come and go
		l.Take("bob", now, 1)
		if wait := l.Take("ana", now, 1); wait != at+6*each-now {
			t.Errorf("after %s she waits %s", now-at, wait)
		}
	}
	if wait := l.Take("ana", at+6*each, 1); wait != 0 {
		t.Errorf("after the wait: %s", wait)
	}
	New[string](Limit{}).Charge("ana", at, 1) // no limit
}
