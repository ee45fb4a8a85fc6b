package attack

import (
	"fmt"
	"io"
	"slices"

	"github.com/mbp-market/mbp/engine"
)

// Table runs every attack with so many seeds and writes what each rule saw: in
// how many runs, after how long, how often before the attack, and how often it
// named somebody honest.
func Table(w io.Writer, seeds int) error {
	fmt.Fprintf(w, "What the shipped policy and template see of simulated attacks, %d seeds each; delays in seconds from the start of the attack.\n\n", seeds)
	fmt.Fprintf(w, "%-64s %9s  %-12s %6s %8s %8s %9s %6s\n", "attack", "refused", "rule", "seen", "median", "worst", "too early", "wrong")
	for _, a := range All() {
		runs := make([]Run, seeds)
		orders, refused := 0, 0
		for i := range runs {
			var err error
			if runs[i], err = a.Run(uint64(i)); err != nil {
				return err
			}
			orders += runs[i].Orders
			refused += runs[i].Refused
		}
		share := "-"
		if orders > 0 {
			share = fmt.Sprintf("%.1f %%", 100*float64(refused)/float64(orders))
		}
		for _, rule := range a.Rules {
			row(w, a.Name, share, rule, runs)
		}
		if len(a.Rules) == 0 {
			fmt.Fprintf(w, "%-64s %9s  %s\n", a.Name, share, "nothing, from no rule")
		}
	}
	return nil
}

func row(w io.Writer, name, share, rule string, runs []Run) {
	var delays []engine.Time
	early, wrong := 0, 0
	for _, r := range runs {
		s := r.Sightings[rule]
		early += s.Early
		wrong += s.Wrong
		if s.Seen {
			delays = append(delays, s.First)
		}
	}
	slices.Sort(delays)
	median, worst := "-", "-"
	if n := len(delays); n > 0 {
		median, worst = fmt.Sprintf("%.1f", float64(delays[n/2])/1e6), fmt.Sprintf("%.1f", float64(delays[n-1])/1e6)
	}
	fmt.Fprintf(w, "%-64s %9s  %-12s %6d %8s %8s %9d %6d\n", name, share, rule, len(delays), median, worst, early, wrong)
}
