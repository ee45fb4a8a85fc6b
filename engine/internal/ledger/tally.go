package ledger

// tally adds up the postings of one Apply: per asset, which must come to zero,
// and per trading account and asset, available and reserved together. It is a
// hash table that a new epoch empties, so that its cost follows the postings and
// not the largest Apply there ever was.
type tally struct {
	moves []move // in the order of their first posting; the first is that of all credits
	slots []slot // a power of two, at least twice as many as moves
	shift uint   // 64 − log2(len(slots))
	epoch uint32
	last  uint32 // the asset summed last: postings come in pairs of one asset
	wild  bool   // a sum left ±maxSum
}

// move is a sum of postings; account zero is the asset's own sum.
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
	t.moves = append(t.moves[:0], move{})
	t.last, t.wild = 0, false
}

// sum adds to the sum of an asset.
func (t *tally) sum(asset Asset, amount int64) {
	if t.moves[t.last].asset != asset {
		t.last = 0
		if asset != (Asset{}) {
			t.last = t.find(0, asset)
		}
	}
	t.add(t.last, amount)
}

// take adds to what a trading account got of an asset.
func (t *tally) take(account uint32, asset Asset, amount int64) {
	t.add(t.find(account, asset), amount)
}

func (t *tally) add(i uint32, amount int64) {
	m := &t.moves[i]
	m.amount += amount
	t.wild = t.wild || uint64(m.amount+maxSum) > 2*maxSum
}

// find returns where the sum of an account and an asset is.
func (t *tally) find(account uint32, asset Asset) uint32 {
	for i := t.hash(account, asset); ; i = (i + 1) & uint64(len(t.slots)-1) {
		s := &t.slots[i]
		if s.epoch != t.epoch {
			at := uint32(len(t.moves))
			*s = slot{t.epoch, at}
			t.moves = append(t.moves, move{account: account, asset: asset})
			if 2*len(t.moves) > len(t.slots) {
				t.grow()
			}
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

func (t *tally) grow() {
	t.slots = make([]slot, 2*len(t.slots))
	t.shift--
	for n := 1; n < len(t.moves); n++ {
		i := t.hash(t.moves[n].account, t.moves[n].asset)
		for t.slots[i].epoch == t.epoch {
			i = (i + 1) & uint64(len(t.slots)-1)
		}
		t.slots[i] = slot{t.epoch, uint32(n)}
	}
}
