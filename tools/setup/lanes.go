package main

import (
	"context"
	"errors"
	"sync"
)

// runLanes runs do for every group: lanes side by side, groups of a lane in
// order. The first failure cancels the others; all failures are joined.
func runLanes(ctx context.Context, groups []group, do func(context.Context, group) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	byLane := map[lane][]group{}
	for _, g := range groups {
		byLane[g.lane] = append(byLane[g.lane], g)
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error // guarded by mu
	)
	for _, lane := range byLane {
		wg.Go(func() {
			for _, g := range lane {
				if ctx.Err() != nil {
					return
				}
				if err := do(ctx, g); err != nil {
					mu.Lock()
					// What fails after the cancellation only echoes the first failure.
					if len(errs) == 0 || !errors.Is(err, context.Canceled) {
						errs = append(errs, err)
					}
					mu.Unlock()
					cancel()
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
