package house

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fault"
	"github.com/mbp-market/mbp/engine/internal/fold"
)

// AddKey registers a key.
func AddKey(s *fold.State, d *engine.Decision, x *engine.AddKey) {
	was, exists := s.Keys[x.Key.SHA256]
	// A secret that was revoked never opens again. A person may be let in again, by
	// a person: the edge, which adds who comes for the first time, is the system.
	exists = exists && (was != nil || !x.Key.Identity || d.Principal == engine.System)
	switch {
	case fault.Key(&x.Key) != "":
		d.Reject(engine.InvalidCommand, fault.Key(&x.Key))
	case !Valid(x.Key, d.At):
		d.Reject(engine.InvalidCommand, "key: expires_at has passed")
	case x.Key.Account != 0 && s.Account(x.Key.Account) == nil:
		d.Reject(engine.AccountNotFound, "")
	case x.Key.Account != 0 && s.Told.Erased(uint32(x.Key.Account)):
		d.Reject(engine.WrongState, "the account was erased")
	case exists:
		d.Reject(engine.AlreadyExists, "")
	case int64(len(s.Added)) >= s.Policy.MaxKeys:
		d.Reject(engine.LimitReached, "")
	default:
		d.Add(&engine.KeyAdded{Key: x.Key})
	}
}

// RevokeKey ends a key.
func RevokeKey(s *fold.State, d *engine.Decision, x *engine.RevokeKey) {
	k := s.Keys[x.SHA256] // revoked keys stay as nil
	if k == nil {
		d.Reject(engine.KeyNotFound, "")
		return
	}
	if Lasting(*k) && Admins(s) == 1 {
		d.Reject(engine.LastAdmin, "")
		return
	}
	d.Add(&engine.KeyRevoked{SHA256: x.SHA256})
}

// Lasting reports whether a key can add keys for as long as it is not revoked: what
// expires, or what another house vouches for, may be gone tomorrow.
func Lasting(k engine.Key) bool {
	return k.Roles.Has(engine.RoleAdmin) && k.ExpiresAt == 0 && !k.Identity
}

// Admins counts the keys that may add keys and do not end by themselves; few
// revocations ask.
func Admins(s *fold.State) (n int) {
	for _, d := range s.Added {
		if k := s.Keys[d]; k != nil && Lasting(*k) {
			n++
		}
	}
	return n
}

// Valid reports whether a key has not expired.
func Valid(k engine.Key, now engine.Time) bool { return k.ExpiresAt == 0 || now < k.ExpiresAt }
