package tally_test

import (
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/tally"
)

func TestCounts(t *testing.T) {
	var c tally.Tally
	if got := c.Take(); got != nil {
		t.Errorf("%v before anything", got)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				c.Add("bob", "forbidden")
				c.Add("", "unauthenticated")
				c.Add("ana", "malformed")
				c.Add("bob", "malformed")
			}
		})
	}
	wg.Wait()
	want := []engine.Refusal{
		{Reason: "unauthenticated", Count: 800}, {Principal: "ana", Reason: "malformed", Count: 800},
		{Principal: "bob", Reason: "forbidden", Count: 800}, {Principal: "bob", Reason: "malformed", Count: 800},
	}
	got := c.Take()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if again := c.Take(); again != nil {
		t.Errorf("%v after it was taken", again)
	}
	c.Add("ana", "malformed")
	c.Return(got)
	want[1].Count++
	if got := c.Take(); !reflect.DeepEqual(got, want) {
		t.Errorf("returned: %v, want %v", got, want)
	}
}

// TestBound: whoever makes up principals takes no memory and loses no count.
func TestBound(t *testing.T) {
	var c tally.Tally
	for i := range 10_000 {
		c.Add(fmt.Sprintf("p-%d", i), "too_many_requests")
		c.Add(fmt.Sprintf("p-%d", i), "malformed")
	}
	got := c.Take()
	sum, others := int64(0), 0
	for _, r := range got {
		if sum += r.Count; r.Principal == engine.OtherPrincipals {
			others++
		}
	}
	if len(got) > engine.RefusalLimit || sum != 20_000 || others != 2 {
		t.Errorf("%d entries, %d of them for others, with %d refusals", len(got), others, sum)
	}
}
