package ledger

// index finds an account in a list of accounts. It is a hash table of places in
// the list, four bytes each, because most markets have few holders and a map
// would be most of what they cost.
type index struct {
	slots []uint32 // a power of two, at least twice as many as accounts: place + 1, or 0
	shift uint     // 32 − log2(len(slots))
}

// find returns the place of an account in the list, -1 if it is not there.
func (x *index) find(list []uint32, account uint32) int {
	if len(x.slots) == 0 {
		return -1
	}
	for i := x.hash(account); ; i = (i + 1) & uint32(len(x.slots)-1) {
		at := x.slots[i]
		if at == 0 {
			return -1
		}
		if list[at-1] == account {
			return int(at - 1)
		}
	}
}

// add enters the last account of the list; it is not there yet.
func (x *index) add(list []uint32) {
	if 2*len(list) <= len(x.slots) {
		x.put(list, len(list)-1)
		return
	}
	if x.shift--; len(x.slots) == 0 {
		x.shift = 32 - 2
	}
	x.slots = make([]uint32, 1<<(32-x.shift))
	for at := range list {
		x.put(list, at)
	}
}

func (x *index) put(list []uint32, at int) {
	i := x.hash(list[at])
	for x.slots[i] != 0 {
		i = (i + 1) & uint32(len(x.slots)-1)
	}
	x.slots[i] = uint32(at + 1)
}

// hash multiplies by the golden ratio, which spreads dense numbers best (Knuth,
// TAOCP vol. 3, 6.4).
func (x *index) hash(account uint32) uint32 { return account * 0x9e3779b9 >> x.shift }
