package ledger

// tally adds up the postings of one Apply: per asset, which must come to zero,
// and per trading account and asset, available and reserved together.
//
// The latter is a list. An account says where its credits are in it, which the
// list confirms (Briggs and Torczon, "An Efficient Representation for Sparse
// Sets", 1993); shares are found by a hash table that a new epoch empties. So the
// cost follows the postings and not the largest Apply there ever was.
type tally struct {
	credits int64   // sum of all credits
	sums    []int64 // of the assets of each market that is touched
	wild    bool    // a sum left ±maxSum

	moves []move // in the order of their first posting
	slots []slot // a power of two, at least twice as many as moves
	shift uint   // 64 − log2(len(slots))
	epoch uint32
}

// move is what a trading account got of an asset.
type move struct {
	account uint32
	asset   Asset
	amount  int64
}

type slot struct {
	epoch uint32 // the slot is empty unless this is the tally's
	move  uint32
}

const firstSlots = 64

func (t *tally) reset() {
	t.epoch++
	if t.epoch == 0 || len(t.slots) == 0 { // the first one, or epochs begin again
		t.slots, t.shift, t.epoch = make([]slot, firstSlots), 64-6, 1
	}
	t.credits, t.sums, t.moves, t.wild = 0, t.sums[:0], t.moves[:0], false
}

// sum adds to a sum and returns it.
func (t *tally) sum(s, amount int64) int64 {
	s += amount
	t.wild = t.wild || uint64(s+maxSum) > 2*maxSum
	return s
}

// room makes room for the sums of n assets and returns where it begins.
func (t *tally) room(n int) int {
	at := len(t.sums)
	t.sums = stretch(t.sums, at+n)
	return at
}

// takeCredits adds to what a trading account got of credits; hint is where the
// account last found that.
func (t *tally) takeCredits(account uint32, hint *uint32, amount int64) {
	if i := int(*hint); i >= len(t.moves) || t.moves[i].account != account || t.moves[i].asset != (Asset{}) {
		*hint = uint32(len(t.moves))
		t.append(move{account: account, amount: amount})
		return
	}
	m := &t.moves[*hint]
	m.amount = t.sum(m.amount, amount)
}

// take adds to what a trading account got of shares or units.
func (t *tally) take(account uint32, asset Asset, amount int64) {
	m := &t.moves[t.find(account, asset)]
	m.amount = t.sum(m.amount, amount)
}

// find returns where the sum of an account and an asset is.
func (t *tally) find(account uint32, asset Asset) uint32 {
	for i := t.hash(account, asset); ; i = (i + 1) & uint64(len(t.slots)-1) {
		s := &t.slots[i]
		if s.epoch != t.epoch {
			at := uint32(len(t.moves))
			*s = slot{t.epoch, at}
			t.append(move{account: account, asset: asset})
			return at
		}
		if m := &t.moves[s.move]; m.asset == asset && m.account == account {
			return s.move
		}
	}
}

// hash multiplies by odd constants from the golden ratio (Knuth, TAOCP vol. 3,
// 6.4): the numbers it spreads are dense and nobody can choose them.
func (t *tally) hash(account uint32, asset Asset) uint64 {
	k := uint64(account)<<32 | uint64(asset.Market)
	return ((k^k>>29)*0x9e3779b97f4a7c15 + uint64(asset.Outcome)*0xd1b54a32d192ed03) >> t.shift
}

func (t *tally) append(m move) {
	t.moves = append(t.moves, m)
	if 2*len(t.moves) > len(t.slots) {
		t.grow()
	}
}

func (t *tally) grow() {
	t.slots = make([]slot, 2*len(t.slots))
	t.shift--
	for n, m := range t.moves {
		if m.asset == (Asset{}) {
			continue
		}
		i := t.hash(m.account, m.asset)
		for t.slots[i].epoch == t.epoch {
			i = (i + 1) & uint64(len(t.slots)-1)
		}
		t.slots[i] = slot{t.epoch, uint32(n)}
	}
}
