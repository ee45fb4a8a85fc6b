package registry

import (
	"errors"
	"fmt"
	"time"
)

// checkTimeout bounds one comparison. The work is linear in documents of at
// most MaxBytes, so only a defect of ours can reach it.
const checkTimeout = 10 * time.Second

// ErrUndecided means that the comparison itself broke (panic or timeout). The
// differences returned with it are breaking; treat the version as refused.
var ErrUndecided = errors.New("comparison undecided")

// Check compares two versions of a schema under strict backward compatibility.
// It returns every difference, compatible ones too, in a fixed order; use
// Breaking to filter. A document that cannot be read is a breaking difference,
// not an error. The error is ErrUndecided, and then the list holds a breaking
// entry as well: no caller can pass a version by overlooking either.
func Check(old, new []byte) ([]Difference, error) {
	return guarded(checkTimeout, func() []Difference { return check(old, new) })
}

// guarded turns a panic or a timeout of f into a breaking difference.
func guarded(limit time.Duration, f func() []Difference) ([]Difference, error) {
	type result struct {
		list []Difference
		err  error
	}
	done := make(chan result, 1) // buffered: a late result is dropped, its goroutine ends
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- result{undecided("CHECK_PANICKED"), fmt.Errorf("%w: panic: %v", ErrUndecided, p)}
			}
		}()
		done <- result{list: f()}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.list, r.err
	case <-timer.C:
		return undecided("CHECK_TIMED_OUT"), fmt.Errorf("%w: over %s", ErrUndecided, limit)
	}
}

func undecided(rule string) []Difference {
	return []Difference{{Rule: rule, Path: "#", Side: Change, Breaking: true, Message: "the comparison did not finish"}}
}

func check(old, new []byte) []Difference {
	o, bad := parseSide(old, Old)
	n, badNew := parseSide(new, New)
	if bad = append(bad, badNew...); len(bad) > 0 {
		return bad
	}
	out := append(lint(o, Old), lint(n, New)...)
	return append(out, diff(o, n)...)
}

func parseSide(raw []byte, side Side) (map[string]any, []Difference) {
	doc, err := parseObject(raw)
	if err == nil {
		return doc, nil
	}
	rule := "DOCUMENT_INVALID"
	if errors.Is(err, errDuplicateKey) {
		rule = "DUPLICATE_KEY"
	}
	return nil, []Difference{{Rule: rule, Path: "#", Side: side, Breaking: true, Message: err.Error()}}
}
