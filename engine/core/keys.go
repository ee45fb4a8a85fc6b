package core

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/form"
)

func (s *State) addKey(d *engine.Decision, x *engine.AddKey) {
	was, exists := s.f.Keys[x.Key.SHA256]
	// A secret that was revoked never opens again. A person may be let in again, by
	// a person: the edge, which adds who comes for the first time, is the system.
	exists = exists && (was != nil || !x.Key.Identity || d.Principal == engine.System)
	switch {
	case keyFault(x.Key) != "":
		d.Reject(engine.InvalidCommand, keyFault(x.Key))
	case !valid(x.Key, d.At):
		d.Reject(engine.InvalidCommand, "key: expires_at has passed")
	case x.Key.Account != 0 && s.f.Account(x.Key.Account) == nil:
		d.Reject(engine.AccountNotFound, "")
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

// maxKeyID is the most characters of a key's public id; ours have 8.
const maxKeyID = 16

// keyFault returns what is wrong with a key, "" if nothing is.
func keyFault(k engine.Key) string {
	known, err := engine.ParseRoles(k.Roles.Names())
	switch {
	case k.SHA256 == engine.Digest{}:
		return "key: sha256 is missing"
	case !form.Principal(k.Principal) || k.Principal == engine.System:
		return "key: principal has 1..64 characters a-z, 0-9, ., _, - and is not system"
	case k.Roles == 0 || err != nil || known != k.Roles:
		return "key: at least one known role is needed"
	case k.Roles.Has(engine.RoleTrader) && k.Account == 0:
		return "key: a trader needs an account"
	case k.ID != "" && !form.Label(k.ID, maxKeyID):
		return "key: id has 1..16 characters a-z, 0-9"
	case k.ExpiresAt < 0 || k.Identity && (k.ExpiresAt != 0 || k.ID != ""):
		return "key: expires_at is a time, and an identity has neither that nor an id"
	}
	return ""
}
