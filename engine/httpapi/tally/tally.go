// Package tally counts what the edge refuses before anything is decided, by
// principal and reason, until somebody takes the counts to put them on record.
//
// It promises: memory that does not grow with who is refused or how often; counts
// that are exact, for principals beyond the bound under one name for all of them;
// a list in an order of its own, whatever came first. It refuses to know requests:
// no address, no path, no body.
//
// That only counts are kept follows article 5(1)(c) of the GDPR and article 6(III)
// of the LGPD: no more data than the purpose needs.
package tally

import (
	"cmp"
	"slices"
	"sync"

	"github.com/mbp-market/mbp/engine"
)

// Most is how many pairs of principal and reason are kept apart: more people than
// are refused in ten seconds by mistake. What is above is counted by reason alone,
// and there are far fewer reasons than the rest of a record has room for.
const Most = engine.RefusalLimit - 64

type pair struct{ principal, reason string }

// Tally is safe for concurrent use. The zero value is ready.
type Tally struct {
	mu     sync.Mutex
	counts map[pair]int64
}

// Add counts one refusal; principal is empty for who has no valid key.
func (t *Tally) Add(principal, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(pair{principal, reason}, 1)
}

func (t *Tally) add(p pair, n int64) {
	if t.counts == nil {
		t.counts = map[pair]int64{}
	}
	if _, known := t.counts[p]; !known && len(t.counts) >= Most {
		p.principal = engine.OtherPrincipals
	}
	t.counts[p] += n
}

// Take returns the counts, by principal and reason, and begins anew; nil if there
// are none.
func (t *Tally) Take() []engine.Refusal {
	t.mu.Lock()
	counts := t.counts
	t.counts = nil
	t.mu.Unlock()
	var out []engine.Refusal
	for p, n := range counts {
		out = append(out, engine.Refusal{Principal: p.principal, Reason: p.reason, Count: n})
	}
	slices.SortFunc(out, func(a, b engine.Refusal) int {
		return cmp.Or(cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// Return gives back what was taken and could not be put on record.
func (t *Tally) Return(refusals []engine.Refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range refusals {
		t.add(pair{r.Principal, r.Reason}, r.Count)
	}
}
