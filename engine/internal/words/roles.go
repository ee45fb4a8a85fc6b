package words

import "encoding/json"

// Mode is how much of its service the engine gives.
type Mode uint8

// The modes, from full service down. The numbers are journalled.
const (
	ModeNormal   Mode = 0
	ModeLite     Mode = 1 // the streams tell only now and then where prices, pools and books stand
	ModeShed     Mode = 2 // the same, and the edge admits a part of the reads and the trading
	ModeReadOnly Mode = 3 // read_only: nothing trades, orders can still be cancelled
)

// Thins reports whether the streams hold back what they can.
func (m Mode) Thins() bool { return m == ModeLite || m == ModeShed }

var modeNames = []string{"normal", "lite", "shed", "read_only"}

// String returns the stable word.
func (m Mode) String() string { return Name(modeNames, int(m)) }

// MarshalText writes the stable word.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the stable word.
func (m *Mode) UnmarshalText(b []byte) error {
	i, err := Index(modeNames, "mode", string(b))
	*m = Mode(i)
	return err
}

// Roles is a set of roles that an API key carries.
type Roles uint8

// The roles. The bits are journalled.
const (
	RoleTrader Roles = 1 << iota
	RoleOperator
	RoleResolver
	RoleModerator
	RoleAuditor
	RoleAdmin
	RoleService
)

var roleNames = []string{"trader", "operator", "resolver", "moderator", "auditor", "admin", "service"}

// Has reports whether the set has any of the roles.
func (r Roles) Has(any Roles) bool { return r&any != 0 }

// Names returns the words of the set in a fixed order.
func (r Roles) Names() []string {
	out := []string{}
	for i, n := range roleNames {
		if r&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return out
}

// MarshalJSON writes the list of words.
func (r Roles) MarshalJSON() ([]byte, error) { return json.Marshal(r.Names()) }

// UnmarshalJSON reads a list of words.
func (r *Roles) UnmarshalJSON(b []byte) error {
	var list []string
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	set, err := ParseRoles(list)
	*r = set
	return err
}

// ParseRoles reads role words into a set.
func ParseRoles(texts []string) (Roles, error) {
	var set Roles
	for _, w := range texts {
		i, err := Index(roleNames, "role", w)
		if err != nil {
			return 0, err
		}
		set |= 1 << i
	}
	return set, nil
}
