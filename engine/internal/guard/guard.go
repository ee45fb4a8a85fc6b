// Package guard holds the deterministic limits of the engine. It promises that a
// limit depends only on the times at which it was charged, never on a clock of
// its own, and refuses nothing by itself: the engine turns a false into a
// rejection.
package guard

// Rate is a limit in the form of the generic cell rate algorithm (ITU-T I.371):
// on average one event per Interval, with Burst events at once at most.
type Rate struct {
	Interval int64 // µs between events on average, > 0
	Burst    int64 // events that may come at once, ≥ 1
}

// Allows reports whether an event at now conforms, given the theoretical
// arrival time kept from before (µs; zero for never).
func (r Rate) Allows(tat, now int64) bool {
	return tat-now <= (r.Burst-1)*r.Interval
}

// Charge returns the theoretical arrival time after an event at now.
func (r Rate) Charge(tat, now int64) int64 {
	return max(tat, now) + r.Interval
}

// RetryAfter returns the µs from now until an event conforms again.
func (r Rate) RetryAfter(tat, now int64) int64 {
	return max(0, tat-now-(r.Burst-1)*r.Interval)
}
