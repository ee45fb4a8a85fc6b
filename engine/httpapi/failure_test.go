package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// brokenLog fails every append after the first n.
type brokenLog struct {
	journal.Log
	n int
}

func (b *brokenLog) Append(first uint64, at int64, payloads [][]byte) error {
	if b.n--; b.n < 0 {
		return errors.New("disk is gone")
	}
	return b.Log.Append(first, at, payloads)
}

func TestDiskFailure(t *testing.T) {
	e := start(t, options{log: func(l journal.Log) journal.Log { return &brokenLog{l, 2} }})
	if r := e.post("/v1/accounts", e.admin, `{}`); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	r := e.post("/v1/accounts", e.admin, `{}`)
	if r.status != http.StatusServiceUnavailable || r.code(t) != problem.Failed || r.header.Get("Retry-After") == "" || !strings.Contains(r.body, "same idempotency key") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if e.value("dec_admitted_total") != 2 || e.value("dec_journalled_total") != 1 || e.value("dec_orchestration_errors_total", "stage", "journal") != 1 {
		t.Error("a decision that was lost shows as a gap and as an orchestration error")
	}
	for e.post("/v1/accounts", e.admin, `{}`).code(t) == problem.Failed {
		// entered before the writer shut the intake
	}
	if r := e.post("/v1/accounts", e.admin, `{}`); r.status != http.StatusServiceUnavailable || r.code(t) != problem.NotLeader {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := e.get("/v1/me", e.admin); r.status != http.StatusOK {
		t.Errorf("reads go on: %d", r.status)
	}
}

// stuckLog appends while it is not held.
type stuckLog struct {
	journal.Log
	held sync.Mutex
}

func (s *stuckLog) Append(first uint64, at int64, payloads [][]byte) error {
	s.held.Lock()
	defer s.held.Unlock()
	return s.Log.Append(first, at, payloads)
}

// impatient gives up on the writer early.
type impatient struct{ Sequencer }

func (i impatient) Submit(ctx context.Context, r sequencer.Request) (sequencer.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	return i.Sequencer.Submit(ctx, r)
}

// TestWhatTheEdgeGivesUpOn: of the requests that nobody waited for, admitted are
// those that the journal gets.
func TestWhatTheEdgeGivesUpOn(t *testing.T) {
	log := &stuckLog{}
	e := start(t, options{
		log: func(l journal.Log) journal.Log { log.Log = l; return log },
		seq: func(q Sequencer) Sequencer { return impatient{q} },
	})
	eve := e.key("eve", engine.RoleAdmin, 0)
	if r := e.post("/v1/accounts", e.admin, `{}`, "Idempotency-Key", "first"); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	log.held.Lock()
	done := make(chan *engine.Decision)
	go func() { done <- e.submit(&engine.RevokeKey{SHA256: digestOf(eve)}) }()
	var wg sync.WaitGroup
	for _, c := range []struct{ path, secret, body, key string }{
		{"/v1/accounts", e.admin, `{}`, "second"},
		{"/v1/accounts", e.admin, `{}`, "first"},                                     // a repetition
		{"/v1/accounts/acc_1/grants", e.admin, `{"amount_micros":1000000}`, "first"}, // a conflict
		{"/v1/accounts", eve, `{}`, "third"},                                         // revoked, or not yet
	} {
		wg.Go(func() {
			if r := e.post(c.path, c.secret, c.body, "Idempotency-Key", c.key); r.code(t) != problem.Failed {
				t.Errorf("%s %s: %d %s", c.path, c.key, r.status, r.body)
			}
		})
	}
	wg.Wait()
	log.held.Unlock()
	<-done
	e.submit(&engine.OpenAccount{}) // whatever came before is decided
	e.quiet()
	if a, j := e.value("dec_admitted_total"), e.value("dec_journalled_total"); a != j || a < 2 || a > 3 {
		t.Errorf("%v admitted, %v journalled", a, j)
	}
	if got := e.value("dec_orchestration_errors_total", "stage", "answer"); got != 4 {
		t.Errorf("%v without an answer", got)
	}
}
