package evidence

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// minSecret is the shortest string that Pack searches for; shorter ones occur
// by chance.
const minSecret = 12

// headLen is how many bytes of a secret it is looked up by.
const headLen = 8

// secrets finds any of many strings in one pass: a run has a thousand keys, and
// searching for each of them would take a thousand passes.
type secrets struct {
	starts  [1 << 16]bool       // by their first two bytes
	heads   map[uint64][][]byte // by their first headLen bytes
	longest int
}

func newSecrets(list []string) (*secrets, error) {
	s := &secrets{heads: map[uint64][][]byte{}}
	for _, text := range list {
		if len(text) < minSecret {
			return nil, fmt.Errorf("a secret of %d bytes: shorter than %d it would be found everywhere", len(text), minSecret)
		}
		b := []byte(text)
		s.starts[binary.LittleEndian.Uint16(b)] = true
		head := binary.LittleEndian.Uint64(b)
		s.heads[head] = append(s.heads[head], b)
		s.longest = max(s.longest, len(b))
	}
	return s, nil
}

// in reports whether b holds a secret.
func (s *secrets) in(b []byte) bool {
	for i := 0; i+headLen <= len(b); i++ {
		if !s.starts[binary.LittleEndian.Uint16(b[i:])] {
			continue
		}
		for _, secret := range s.heads[binary.LittleEndian.Uint64(b[i:])] {
			if bytes.HasPrefix(b[i:], secret) {
				return true
			}
		}
	}
	return false
}
