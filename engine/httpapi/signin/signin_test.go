package signin

import (
	"strings"
	"testing"
	"time"
)

// TestState: a state is good in the time of its sign-in, on the installation that
// made it, and with no bit changed; its nonce and verifier are its own.
func TestState(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	h := New(Config{Secret: []byte("one"), Now: func() time.Time { return at }})
	other := New(Config{Secret: []byte("two"), Now: func() time.Time { return at }})
	state := h.begin()
	if !h.begun(state) || other.begun(state) || h.begun(other.begin()) || state == h.begin() {
		t.Error("a state is not of its installation alone")
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for n := range state {
		b := []byte(state)
		b[n] = letters[(strings.IndexByte(letters, b[n])+1)%64]
		if h.begun(string(b)) {
			t.Errorf("character %d does not count", n)
		}
	}
	for _, s := range []string{"", state[:len(state)-1], state + "A", state + "\n", strings.Repeat("A", len(state))} {
		if h.begun(s) {
			t.Errorf("%q is a state", s)
		}
	}
	a, b := state, h.begin()
	seen := map[string]bool{}
	for _, s := range []string{h.nonce(a), h.verifier(a), h.nonce(b), h.verifier(b), other.verifier(a), a, b} {
		if seen[s] || len(s) < 43 { // RFC 7636 asks a verifier for 43 characters
			t.Errorf("%q is there twice, or short", s)
		}
		seen[s] = true
	}
	start := at
	for after, want := range map[time.Duration]bool{-time.Second: false, 0: true, SignInTime: true, SignInTime + time.Second: false} {
		if at = start.Add(after); h.begun(state) != want {
			t.Errorf("%s after its begin: %v", after, !want)
		}
	}
}
