package main

import (
	"encoding/binary"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// TestKeyListShowsAll: with --all every key of every page is there once.
func TestKeyListShowsAll(t *testing.T) {
	r := runPlatform(t)
	const more = 1500 // than one page
	requests := make([]sequencer.Request, more)
	for i := range requests {
		k := engine.Key{Principal: "bot", Roles: engine.RoleAuditor, SHA256: engine.Digest{0: 1}}
		binary.BigEndian.PutUint64(k.SHA256[8:], uint64(i))
		requests[i] = sequencer.Request{Principal: engine.System, Command: &engine.AddKey{Key: k}}
	}
	got, err := r.seq.SubmitAll(t.Context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.seq.Wait(t.Context(), got[more-1].Decision.Seq); err != nil {
		t.Fatal(err)
	}
	list := func(args ...string) (page client.KeyPage) {
		t.Helper()
		var out strings.Builder
		args = append([]string{"key", "list", "--json", "--url", "http://" + r.addr, "--key-file", filepath.Join(r.cfg.Data, adminKeyFile)}, args...)
		if err := run(t.Context(), args, &out, &out); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(out.String()), &page); err != nil {
			t.Fatal(err)
		}
		return page
	}
	if first := list(); len(first.Keys) != 1000 || first.Next == 0 {
		t.Errorf("a page has %d keys, the next one begins after %d", len(first.Keys), first.Next)
	}
	all, seen := list("--all"), map[engine.Digest]bool{}
	for _, k := range all.Keys {
		seen[k.SHA256] = true
	}
	if len(all.Keys) != more+1 || len(seen) != more+1 || all.Next != 0 {
		t.Errorf("%d keys, %d of them differ; next %d", len(all.Keys), len(seen), all.Next)
	}
	if err := r.shut(10 * time.Second); err != nil {
		t.Error(err)
	}
}
