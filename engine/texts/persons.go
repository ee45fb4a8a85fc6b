package texts

import "github.com/mbp-market/mbp/engine"

// Rekey gives a person another keyed digest to be found by, as when the secret under it
// is replaced, and returns the pseudonym and the account that is bound to it. Who has
// that digest already keeps it; who is found by the digest of before has only the new
// one from then on; who is not known, and is on record under the pseudonym known, is
// noted with it. at is when that is. false: none of the three, and nothing was written. known is zero if
// the person is on record under nothing.
func (s *Store) Rekey(before, index, known engine.Digest, at engine.Time) (engine.Digest, engine.AccountID, bool, error) {
	if was := s.person(index); was != nil {
		return was.ID, was.Account, true, nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if was := s.person(index); was != nil {
		return was.ID, was.Account, true, nil
	}
	e := Entry{ID: known, Draft: Draft{Kind: Identity, At: at}}
	if was := s.person(before); was != nil {
		e = *was
	} else if known == (engine.Digest{}) {
		return engine.Digest{}, 0, false, nil
	}
	e.Index, e.At = index, at
	return e.ID, e.Account, true, s.write(&e)
}
