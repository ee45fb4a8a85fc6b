package core

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fault"
)

func (s *State) addKey(d *engine.Decision, x *engine.AddKey) {
	was, exists := s.f.Keys[x.Key.SHA256]
	// A secret that was revoked never opens again. A person may be let in again, by
	// a person: the edge, which adds who comes for the first time, is the system.
	exists = exists && (was != nil || !x.Key.Identity || d.Principal == engine.System)
	switch {
	case fault.Key(&x.Key) != "":
		d.Reject(engine.InvalidCommand, fault.Key(&x.Key))
	case !valid(x.Key, d.At):
		d.Reject(engine.InvalidCommand, "key: expires_at has passed")
	case x.Key.Account != 0 && s.f.Account(x.Key.Account) == nil:
		d.Reject(engine.AccountNotFound, "")
	case x.Key.Account != 0 && s.Erased(x.Key.Account):
		d.Reject(engine.WrongState, "the account was erased")
	case exists:
		d.Reject(engine.AlreadyExists, "")
	case int64(len(s.f.Added)) >= s.f.Policy.MaxKeys:
		d.Reject(engine.LimitReached, "")
	default:
		d.Add(&engine.KeyAdded{Key: x.Key})
	}
}

func (s *State) revokeKey(d *engine.Decision, x *engine.RevokeKey) {
	k := s.f.Keys[x.SHA256] // revoked keys stay as nil
	if k == nil {
		d.Reject(engine.KeyNotFound, "")
		return
	}
	if lasting(*k) && s.admins() == 1 {
		d.Reject(engine.LastAdmin, "")
		return
	}
	d.Add(&engine.KeyRevoked{SHA256: x.SHA256})
}

// lasting reports whether a key can add keys for as long as it is not revoked: what
// expires, or what another house vouches for, may be gone tomorrow.
func lasting(k engine.Key) bool {
	return k.Roles.Has(engine.RoleAdmin) && k.ExpiresAt == 0 && !k.Identity
}

// admins counts the keys that may add keys and do not end by themselves; few
// revocations ask.
func (s *State) admins() (n int) {
	for _, d := range s.f.Added {
		if k := s.f.Keys[d]; k != nil && lasting(*k) {
			n++
		}
	}
	return n
}

// valid reports whether a key has not expired.
func valid(k engine.Key, now engine.Time) bool { return k.ExpiresAt == 0 || now < k.ExpiresAt }
