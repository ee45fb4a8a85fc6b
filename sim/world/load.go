package world

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mbp-market/mbp/engine"
)

// maxFile bounds a world's file: the largest world takes twelve megabytes.
const maxFile = 64 << 20

// Load reads a world that Save wrote. Unknown members are refused: they would
// be somebody's wish that is not heard.
func Load(path string) (*World, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read world: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read world: %w", err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("read world: %s has more than %d bytes", path, maxFile)
	}
	w := &World{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(w); err != nil {
		return nil, fmt.Errorf("read world %s: %w", path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read world: %s goes on after its document", path)
	}
	if err := w.Validate(); err != nil {
		return nil, fmt.Errorf("read world %s: %w", path, err)
	}
	return w, nil
}

// Validate reports why nobody could trade in this world. No secret is in the
// error.
func (w *World) Validate() error {
	if w.BaseURL == "" || len(w.Markets) == 0 || len(w.Markets) > MaxMarkets || len(w.Traders) == 0 || len(w.Traders) > MaxAccounts {
		return fmt.Errorf("a world has a base_url, 1..%d markets and 1..%d traders", MaxMarkets, MaxAccounts)
	}
	markets := map[engine.MarketID]bool{}
	for _, m := range w.Markets {
		if m.Market == 0 || markets[m.Market] || m.Weight <= 0 || m.Weight > 1 {
			return fmt.Errorf("market %s: an id, once, and a weight in 0..1", m.Market)
		}
		markets[m.Market] = true
	}
	accounts := map[engine.AccountID]bool{}
	for _, t := range w.Traders {
		if t.Account == 0 || accounts[t.Account] {
			return fmt.Errorf("trader %s: an id, once", t.Account)
		}
		if t.Key == "" {
			return errors.New("trader " + t.Account.String() + " has no key")
		}
		accounts[t.Account] = true
	}
	return nil
}
