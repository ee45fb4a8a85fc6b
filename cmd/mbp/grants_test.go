package main

import (
	"context"
	"errors"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// scriptOpened makes the data folder of a house that was opened a while ago and has been
// down since: `opened DURATION`. It has two accounts, of which the second is in the
// group staff, and a schedule, allowance, that grants staff 10 credits daily up to 15.
func scriptOpened(ts *testscript.TestScript, _ bool, args []string) {
	ago, err := time.ParseDuration(args[0])
	ts.Check(err)
	then, data := time.Now().Add(-ago), ts.MkAbs("data")
	l, err := file.Open(file.Config{Dir: notary.Journal(data), SegmentSize: 1 << 20})
	ts.Check(err)
	seq, err := sequencer.New(sequencer.Config{Log: l, Now: func() time.Time { return then }})
	ts.Check(err)
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- seq.Run(ctx) }()
	ts.Check(bootstrap(ctx, seq, data))
	for _, c := range []engine.Command{
		&engine.OpenAccount{}, &engine.OpenAccount{}, &engine.SetAccountGroups{Account: 2, Groups: []string{"staff"}},
		&engine.SetGrantSchedule{Schedule: engine.GrantSchedule{
			Name: "allowance", Period: engine.Daily, Amount: 10 * engine.One, Cap: 15 * engine.One, Groups: []string{"staff"},
		}},
	} {
		got, err := seq.Submit(ctx, sequencer.Request{Principal: "admin", Command: c})
		if ts.Check(err); got.Decision.Code != engine.OK {
			ts.Fatalf("%+v", got.Decision)
		}
	}
	end()
	ts.Check(errors.Join(<-done, l.Close()))
}
