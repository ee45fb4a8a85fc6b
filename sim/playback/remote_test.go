package playback

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// TestOldRun: a run whose keys the server will forget while it is repeated is
// refused, even if it still remembers the first of them.
func TestOldRun(t *testing.T) {
	began := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/me" {
			fmt.Fprint(w, `{"seq":9,"principal":"imported","roles":["trader"],"account":"acc_4"}`)
			return
		}
		w.Header().Set("Idempotency-Replayed", "true")
		fmt.Fprintf(w, `{"seq":3,"decided_at":%q,"code":"ok","events":[]}`, began.Format(time.RFC3339))
	}))
	defer s.Close()
	admin, err := client.New(s.URL, "mbp_admin")
	if err != nil {
		t.Fatal(err)
	}
	r := NewRemote(admin)
	for age, want := range map[time.Duration]error{time.Hour: nil, 12 * time.Hour: nil, 13 * time.Hour: ErrForgotten} {
		r.now = func() time.Time { return began.Add(age) }
		a, err := r.Creator(context.Background(), "k", 1)
		if !errors.Is(err, want) || want == nil && (a.ID != 4 || a.Secret != admin.Derive("k")) {
			t.Errorf("after %v: %+v, %v", age, a, err)
		}
	}
}
