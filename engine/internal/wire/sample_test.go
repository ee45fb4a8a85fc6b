package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/wire"
	"github.com/mbp-market/mbp/engine/internal/wire/testdata/sample"
)

// model encodes a sample by reflection from the rules alone: what the generated
// code must write, by another road.
type model struct {
	b     []byte
	kinds map[string]uint8
}

func (m *model) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		m.b = binary.AppendUvarint(m.b, v.Uint())
	case reflect.Int64:
		m.b = binary.AppendVarint(m.b, v.Int())
	case reflect.Bool:
		m.b = append(m.b, map[bool]byte{true: 1}[v.Bool()])
	case reflect.String:
		m.b = binary.AppendUvarint(m.b, uint64(v.Len()))
		m.b = append(m.b, v.String()...)
	case reflect.Array:
		for i := range v.Len() {
			m.b = append(m.b, byte(v.Index(i).Uint()))
		}
	case reflect.Slice:
		m.b = binary.AppendUvarint(m.b, uint64(v.Len()))
		if v.Type().Elem() == reflect.TypeFor[byte]() {
			m.b = append(m.b, v.Bytes()...)
			return
		}
		for i := range v.Len() {
			m.value(v.Index(i))
		}
	case reflect.Struct:
		m.fields(v)
	case reflect.Interface:
		x := v.Interface().(sample.Command)
		m.b = binary.AppendUvarint(m.b, uint64(m.kinds[x.Type()]))
		m.value(v.Elem().Elem())
	default:
		panic("no rule for " + v.Type().String())
	}
}

func (m *model) fields(v reflect.Value) {
	var group []reflect.Value
	flush := func() {
		if group == nil {
			return
		}
		mask := uint64(0)
		for i, f := range group {
			if !f.IsZero() {
				mask |= 1 << i
			}
		}
		m.b = binary.AppendUvarint(m.b, mask)
		for _, f := range group {
			if !f.IsZero() && f.Kind() != reflect.Bool {
				m.value(f)
			}
		}
		group = nil
	}
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("wire")
		switch {
		case tag == "-":
		case slices.Contains(strings.Split(tag, ","), "opt"):
			group = append(group, v.Field(i))
		default:
			flush()
			m.value(v.Field(i))
		}
	}
	flush()
}

// fill draws a value: numbers often at their ends, lists up to 4 elements, texts
// up to 9 bytes, zero one time in three.
func fill(t *rapid.T, v reflect.Value, batch bool) {
	k := v.Kind()
	if k != reflect.Struct && k != reflect.Interface && rapid.IntRange(0, 2).Draw(t, "zero") == 0 {
		if k == reflect.Slice && v.Type().Elem() != reflect.TypeFor[byte]() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		return
	}
	switch k {
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		bits := v.Type().Bits()
		v.SetUint(rapid.Uint64Range(0, math.MaxUint64>>(64-bits)).Draw(t, "u"))
	case reflect.Int64:
		v.SetInt(rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, -1})).Draw(t, "i"))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(string(rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "s")))
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(rapid.Byte().Draw(t, "b")))
		}
	case reflect.Slice:
		n := rapid.IntRange(1, 4).Draw(t, "n")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), false)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("wire") != "-" {
				fill(t, v.Field(i), batch)
			}
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(drawCommand(t, false)))
	}
}

func drawCommand(t *rapid.T, batch bool) sample.Command {
	all := []sample.Command{&sample.Everything{}, &sample.Lists{}, &sample.Options{}, &sample.Nothing{}, &sample.Batch{}}
	if !batch {
		all = all[:len(all)-1]
	}
	x := rapid.SampledFrom(all).Draw(t, "command")
	fill(t, reflect.ValueOf(x).Elem(), batch)
	return x
}

func encode(t interface{ Fatalf(string, ...any) }, x sample.Command) []byte {
	b, err := sample.Encode(x)
	if err != nil {
		t.Fatalf("encode %+v: %v", x, err)
	}
	return b
}

// TestGeneratedCodecs compares the generated codecs with the model, and reads
// back what they write.
func TestGeneratedCodecs(t *testing.T) {
	_, _, kinds, err := sample.Words()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		x := drawCommand(t, true)
		b := encode(t, x)
		m := model{kinds: kinds}
		m.value(reflect.ValueOf(&x).Elem())
		if !bytes.Equal(b, m.b) {
			t.Fatalf("%+v is written as\n%x, by the rules\n%x", x, b, m.b)
		}
		y, err := sample.Decode(b)
		if err != nil || !reflect.DeepEqual(x, y) {
			t.Fatalf("%+v comes back as %+v (%v)", x, y, err)
		}
		for n := range b {
			if y, err := sample.Decode(b[:n]); !errors.Is(err, wire.ErrFormat) {
				t.Fatalf("cut to %d of %d bytes: %+v, %v", n, len(b), y, err)
			}
		}
		if y, err := sample.Decode(append(b, 0)); !errors.Is(err, wire.ErrFormat) {
			t.Fatalf("a byte too many: %+v, %v", y, err)
		}
	})
}

// oneEncoding holds that b is refused or is the only encoding of what it says.
func oneEncoding(t interface{ Fatalf(string, ...any) }, b []byte) {
	x, err := sample.Decode(b)
	if err != nil {
		if !errors.Is(err, wire.ErrFormat) {
			t.Fatalf("%x: %v does not wrap ErrFormat", b, err)
		}
		return
	}
	if again := encode(t, x); !bytes.Equal(again, b) {
		t.Fatalf("%x decodes to %+v, which is encoded as %x", b, x, again)
	}
}

// samples has every command with all its fields set.
func samples() []sample.Command {
	everything := &sample.Everything{
		U8: 200, Other: 1, U16: 300, U32: 1 << 20, U64: math.MaxUint64, Signed: -5, At: 1 << 50, Amount: 7, Price: 999_999,
		Plain: true, Truth: true, Text: "text", Word: "word", Blob: []byte{1, 2}, Raws: sample.Raws{0},
		Digest: sample.Digest{31: 9}, Tag: sample.Tag{5}, Four: [4]byte{1, 2, 3, 4}, Key: sample.Key{Roles: 513},
	}
	lists := &sample.Lists{
		Fills: []sample.Fill{{ID: 1, Amount: -1}, {}}, Named: sample.Fills{{ID: 9}}, IDs: []sample.ID{0, 300}, Times: []sample.Time{-64, 64},
		Flags: []bool{true, false}, Truths: []sample.Truth{true}, Texts: []string{"", "a"}, Words: []sample.Word{"bc"}, Digests: []sample.Digest{{1}},
	}
	options := &sample.Options{Amount: -1, Side: 200, Post: true, Truth: true, Always: 3, Owner: "me", Word: "w", Digest: sample.Digest{1}}
	sparse := &sample.Options{Truth: true, Word: "w"}
	return []sample.Command{everything, lists, options, sparse, &sample.Nothing{}, &sample.Batch{
		Items: []sample.Command{options, &sample.Nothing{}}, Named: sample.Many{sparse},
	}}
}

// TestEveryByteTampered gives every byte every other value.
func TestEveryByteTampered(t *testing.T) {
	for _, x := range samples() {
		b := encode(t, x)
		for i, was := range b {
			for v := range 256 {
				if b[i] = byte(v); b[i] == was {
					continue
				}
				if y, err := sample.Decode(b); err == nil && reflect.DeepEqual(x, y) {
					t.Fatalf("%T: byte %d set to %d changes nothing", x, i, v)
				}
				oneEncoding(t, b)
			}
			b[i] = was
		}
	}
}

func FuzzGeneratedCodecs(f *testing.F) {
	for _, x := range samples() {
		f.Add(encode(f, x))
	}
	f.Fuzz(func(t *testing.T, b []byte) { oneEncoding(t, b) })
}

func TestWordsAndKinds(t *testing.T) {
	commands, events, kinds, err := sample.Words()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"lists", "everything", "options", "nothing", "batch"}; !slices.Equal(commands, want) {
		t.Errorf("commands %v, want %v", commands, want)
	}
	if want := []string{"emptied", "filled"}; !slices.Equal(events, want) {
		t.Errorf("events %v, want %v", events, want)
	}
	if len(kinds) != 7 || kinds["batch"] != 200 || kinds["filled"] != 2 {
		t.Errorf("kinds %v", kinds)
	}
}

// TestOverLimit: nothing is written that could not be read.
func TestOverLimit(t *testing.T) {
	six := make([]bool, 6)
	for name, x := range map[string]sample.Command{
		"text":           &sample.Everything{Text: strings.Repeat("a", 41)},
		"named text":     &sample.Everything{Word: sample.Word(strings.Repeat("a", 41))},
		"bytes":          &sample.Everything{Blob: make([]byte, 17)},
		"list":           &sample.Lists{Flags: six},
		"list of parts":  &sample.Lists{Fills: make([]sample.Fill, 6)},
		"text in a list": &sample.Lists{Texts: []string{"0123456789"}},
		"optional text":  &sample.Options{Owner: strings.Repeat("a", 41)},
		"commands":       &sample.Batch{Items: slices.Repeat([]sample.Command{&sample.Nothing{}}, 5)},
	} {
		if b, err := sample.Encode(x); !errors.Is(err, wire.ErrFormat) {
			t.Errorf("%s: written as %x (%v)", name, b, err)
		}
	}
}

// order is what the benchmarks code, with a mask and without.
type order struct {
	account, market   uint32
	outcome, side     uint8
	amount, shares    fixed.Shares
	limit             fixed.Price
	post, reduce, ioc bool
}

func (x *order) masked(c *wire.Codec) {
	wire.Num(c, &x.account)
	wire.Num(c, &x.market)
	m := c.Mask(
		x.outcome != 0,
		x.side != 0,
		x.amount != 0,
		x.shares != 0,
		x.limit != 0,
		x.post,
		x.reduce,
		x.ioc,
	)
	wire.OptNum(c, m.Has(0), &x.outcome)
	wire.OptNum(c, m.Has(1), &x.side)
	wire.OptSigned(c, m.Has(2), &x.amount)
	wire.OptSigned(c, m.Has(3), &x.shares)
	wire.OptSigned(c, m.Has(4), &x.limit)
	c.OptFlag(m.Has(5), &x.post)
	c.OptFlag(m.Has(6), &x.reduce)
	c.OptFlag(m.Has(7), &x.ioc)
}

func (x *order) plain(c *wire.Codec) {
	wire.Num(c, &x.account)
	wire.Num(c, &x.market)
	wire.Num(c, &x.outcome)
	wire.Num(c, &x.side)
	wire.Signed(c, &x.amount)
	wire.Signed(c, &x.shares)
	wire.Signed(c, &x.limit)
	c.Flag(&x.post)
	c.Flag(&x.reduce)
	c.Flag(&x.ioc)
}

func BenchmarkCodec(b *testing.B) {
	x := order{account: 4321, market: 77, amount: 25_000_000, side: 1}
	for name, fields := range map[string]func(*order, *wire.Codec){"masked": (*order).masked, "plain": (*order).plain} {
		var out wire.Codec
		fields(&x, &out)
		b.Run("encode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			c := wire.Codec{B: make([]byte, 0, 64)}
			for b.Loop() {
				c.B = c.B[:0]
				fields(&x, &c)
			}
			b.ReportMetric(float64(len(c.B)), "B/record")
		})
		b.Run("decode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			var y order
			var c wire.Codec
			for b.Loop() {
				c = wire.Codec{B: out.B, Decoding: true}
				fields(&y, &c)
			}
			if c.Err != nil || y != x {
				b.Fatal(c.Err, y)
			}
		})
	}
}
