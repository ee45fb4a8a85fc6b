package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/sequencer"
)

const (
	// noteEvery is how much time one record sums up: six records a minute are
	// nothing beside the orders, and an auditor sees an attack while it lasts.
	noteEvery = 10 * time.Second
	// noteTimeout is how long a summary may wait for its decision; nobody waits
	// for it.
	noteTimeout = time.Second
)

// count notes a refusal from before a decision. The engine's own rejections are on
// record one by one, and other statuses are no refusals.
func (a *API) count(w http.ResponseWriter, k kind) {
	switch k.status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		principal := ""
		if rec, is := w.(*recorder); is {
			principal = rec.principal
		}
		a.refused.Add(principal, k.code)
	}
}

// note puts on record what was refused, every now and then and when the server
// begins to shut down; nothing if nothing was.
//
// What a crash leaves behind: the counts since the last record, of ten seconds at
// most, are lost, and so are those of a summary that gets no answer; nobody was
// told that they are on record. What is refused after Drain is not noted.
func (a *API) note(ctx context.Context) {
	tick := time.NewTicker(a.noting)
	defer tick.Stop()
	drained, from := a.drained, a.seq.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-drained:
			drained = nil
		}
		x := &engine.NoteRefusals{From: from, Until: a.seq.Now(), Refusals: a.refused.Take()}
		if len(x.Refusals) == 0 {
			from = x.Until
			continue
		}
		within, cancel := context.WithTimeout(ctx, noteTimeout)
		got, err := a.seq.Submit(within, sequencer.Request{Principal: engine.System, Command: x})
		cancel()
		switch {
		case errors.Is(err, sequencer.ErrOverloaded): // nothing was decided: the next one tells it
			a.refused.Return(x.Refusals)
			continue
		case err != nil:
			a.log.WarnContext(ctx, "the refusals of a while are not on record", "err", err)
		case got.Decision.Code != engine.OK:
			a.log.ErrorContext(ctx, "the engine refuses a summary of refusals", "code", got.Decision.Code.String(), "detail", got.Decision.Detail)
		}
		from = x.Until
	}
}
