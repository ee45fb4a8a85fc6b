// Package watch follows what happens on the markets of a server, on one of them, or to an
// account, for people and for programs.
//
// It promises that nothing is missed and nothing comes twice over however many broken
// lines, as long as the server remembers; and it says where to go on when it ends. It
// refuses to guess what it missed: where the server remembers no more, it says so, and
// things come as they are. It follows the WHATWG definition of server-sent events.
package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// watching is what `mbp watch` was told.
type watching struct {
	after   uint64
	most    int
	span    time.Duration
	markets []engine.MarketID // none: all
	market  string            // as the flag says
	account string            // as the flag says
	of      engine.AccountID  // 0: of markets
	seen    int               // lines written
	last    engine.Seq        // where it resumes
}

// errSeen ends a watch that has seen as much as it was told to.
var errSeen = errors.New("enough was seen")

// patience is how a watch meets a server that is away: half a minute without any
// event, then it gives up.
var patience = client.Retry{Attempts: 12, Base: 200 * time.Millisecond, Max: 5 * time.Second, Limited: true}

// Command follows the stream.
func Command() *cobra.Command {
	c, w := &remote.Connection{}, &watching{}
	cmd := &cobra.Command{
		Use:   "watch [MARKET…]",
		Short: "Follow trades, prices and markets, or an account, as they happen",
		Long: `Follow trades, prices and states of all markets, or of some, as they happen, until
Ctrl-C; with --account what happens to an account: its fills, orders, grants, payouts,
and where it stands after each. A connection that breaks is made again from the last event, so that nothing
is missed and nothing comes twice; --after goes on where an earlier watch ended, as
long as the server remembers.

With --json each line is an event as the server sent it, with its kind.`,
		Example: "  mbp watch\n  mbp watch --market mkt_1\n  mbp watch --account me\n  mbp watch mkt_1 mkt_2 --for 1m\n  mbp watch --json --after 1200 | jq .data",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := w.parse(args); err != nil {
				return exit.BadUsage(err)
			}
			cl, err := c.Open()
			if err != nil {
				return err
			}
			if w.account == "me" {
				if err := w.self(cmd.Context(), cl); err != nil {
					return err
				}
			}
			return w.run(cmd.Context(), cl.With(patience), c.JSON(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	c.Bind(cmd)
	c.CompleteMarkets(cmd)
	f := cmd.Flags()
	f.Uint64Var(&w.after, "after", 0, "go on after this `sequence`; 0: from now on, with the markets as they are first")
	f.StringVar(&w.market, "market", "", "the one `market` to follow, by its own stream; as naming it alone")
	f.StringVar(&w.account, "account", "", "follow what happens to this `account`; me: the key's own")
	f.IntVar(&w.most, "count", 0, "end after so many `events`; 0: never")
	f.DurationVar(&w.span, "for", 0, "end after this time; 0: never")
	return cmd
}

// parse reads what to follow.
func (w *watching) parse(args []string) error {
	if w.market != "" {
		args = append(args, w.market)
	}
	for _, a := range args {
		var id engine.MarketID
		if err := id.UnmarshalText([]byte(a)); err != nil {
			return err
		}
		w.markets = append(w.markets, id)
	}
	if w.account != "" && w.account != "me" {
		if err := w.of.UnmarshalText([]byte(w.account)); err != nil {
			return err
		}
	}
	switch {
	case w.market != "" && len(args) > 1, w.account != "" && len(args) > 0:
		return errors.New("name markets, or say --market, or --account")
	case w.most < 0 || w.span < 0:
		return errors.New("--count and --for are not negative")
	}
	return nil
}

// self asks whose account the key is.
func (w *watching) self(ctx context.Context, cl *client.Client) error {
	me, err := cl.Me(ctx)
	if err != nil {
		return err
	}
	if w.of = me.Account; w.of == 0 {
		return errors.New("the API key has no account of its own: say which one")
	}
	return nil
}

// follow is the stream that was asked for: one market has its own.
func (w *watching) follow(ctx context.Context, cl *client.Client, see func(client.Event) error) error {
	after := engine.Seq(w.after)
	switch {
	case w.of != 0:
		return cl.StreamAccount(ctx, w.of, after, see)
	case len(w.markets) == 1:
		return cl.StreamMarket(ctx, w.markets[0], after, see)
	}
	return cl.Stream(ctx, after, see)
}

// again is the command that goes on.
func (w *watching) again() string {
	words := []string{"mbp watch"}
	if w.of != 0 {
		words = append(words, "--account", w.of.String())
	}
	for _, m := range w.markets {
		words = append(words, m.String())
	}
	return fmt.Sprintf("%s --after %d", strings.Join(words, " "), w.last)
}

func (w *watching) run(ctx context.Context, cl *client.Client, asJSON bool, stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if w.span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.span)
		defer cancel()
	}
	err := w.follow(ctx, cl, func(e client.Event) error {
		w.last = max(w.last, e.Seq)
		return w.see(e, asJSON, stdout)
	})
	if w.last > 0 {
		fmt.Fprintf(stderr, "the last event was at %d: %s goes on\n", w.last, w.again())
	}
	if errors.Is(err, errSeen) || ctx.Err() != nil {
		return nil // it was asked to end
	}
	return err
}

// see writes an event, unless it is about a market that nobody asked for.
func (w *watching) see(e client.Event, asJSON bool, out io.Writer) error {
	if e.Kind == "heartbeat" {
		return nil
	}
	var head struct {
		Market engine.MarketID `json:"market"`
	}
	if err := e.Decode(&head); err != nil {
		return err
	}
	if w.of == 0 && head.Market != 0 && len(w.markets) > 0 && !slices.Contains(w.markets, head.Market) {
		return nil
	}
	var err error
	if asJSON {
		err = json.NewEncoder(out).Encode(struct {
			Event string          `json:"event"`
			Seq   engine.Seq      `json:"seq"`
			Data  json.RawMessage `json:"data"`
		}{e.Kind, e.Seq, e.Data})
	} else if w.of != 0 {
		err = tellAccount(e, out)
	} else {
		err = w.tell(e, out)
	}
	if w.seen++; err == nil && w.most > 0 && w.seen >= w.most {
		return errSeen
	}
	return err
}

// tell writes an event as a person reads it.
func (w *watching) tell(e client.Event, out io.Writer) error {
	switch e.Kind {
	case "gap":
		return tellGap(e, out)
	case "snapshot":
		var s client.Snapshot
		if err := e.Decode(&s); err != nil {
			return err
		}
		for _, m := range s.Markets {
			if len(w.markets) == 0 || slices.Contains(w.markets, m.Market) {
				fmt.Fprintf(out, "%s %s %s: %s\n", m.Market, m.State, pricesNow(m.Outcomes), m.Title)
			}
		}
	case "trade":
		var t client.TradeEvent
		if err := e.Decode(&t); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %s %s %s %s for %s credits, average %s\n", t.At, t.Market, t.Side, exact.Format(t.Shares), t.Outcome, exact.Format(t.Amount), exact.Format(t.Average))
	case "quote":
		var q client.PriceEvent
		if err := e.Decode(&q); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %s %s\n", q.At, q.Market, pricesNow(q.Outcomes))
	case "market":
		var m client.Market
		if err := e.Decode(&m); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s is %s: %s\n", m.Market.Market, m.State, m.Title)
	}
	return nil
}

// shown is how many outcomes a line tells of: the first ones.
const shown = 4

// pricesNow is where the outcomes of a market stand, in a few words.
func pricesNow(all []engine.OutcomeState) string {
	var words []string
	for _, o := range all[:min(shown, len(all))] {
		words = append(words, exact.Format(o.Price)+" "+o.Outcome.String())
	}
	if len(all) > shown {
		words = append(words, "…")
	}
	return strings.Join(words, ", ")
}
