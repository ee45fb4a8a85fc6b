package engine

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/tests/given"
)

// fill writes a value into every field, each one different from its neighbours.
func fill(v reflect.Value, n *int) {
	*n++
	switch x := v.Addr().Interface().(type) {
	case *Time:
		*x = 1_767_355_200_000_000 + Time(*n)
		return
	case *OrderID:
		*x = OrderOf(Seq(*n), *n%3)
		return
	case *[]Command:
		for _, c := range []Command{&PlaceOrder{}, &CancelOrder{}, &CancelAll{}, &AmendOrder{}} {
			fill(reflect.ValueOf(c).Elem(), n)
			*x = append(*x, c)
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(int64(1000**n + 7))
	case reflect.Uint8:
		v.SetUint(uint64(1 + *n%2))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(*n + i&0xff))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic(v.Kind())
	}
}

// samples are decisions in which every command and every event occurs, with all
// fields set, and again with none.
func samples() (out []*Decision) {
	n := 0
	add := func(c Command, e Event) *Decision {
		d := &Decision{}
		d.Reset(Seq(len(out)+1), Request{At: 1_767_355_200_000_000 + Time(len(out)), Principal: "ana", Command: c})
		if e != nil {
			d.Add(e)
		}
		out = append(out, d)
		return d
	}
	for kind := uint8(1); kind != 0; kind++ {
		if c := newCommand(kind); c != nil {
			add(newCommand(kind), nil)
			fill(reflect.ValueOf(c).Elem(), &n)
			d := add(c, nil)
			d.Key, d.Input, d.Code, d.Detail = Tag{1: 2}, Tag{3: 4}, InvalidCommand, "what is wrong"
			if b, is := c.(*Batch); is {
				for i := range b.Items {
					d.Results = append(d.Results, Result{Code: Code(i), Detail: "so", Events: uint32(i)})
				}
			}
		}
		if e := newEvent(kind); e != nil {
			add(&Tick{}, newEvent(kind))
			fill(reflect.ValueOf(e).Elem(), &n)
			add(&Tick{}, e)
		}
	}
	return out
}

// traded are filled orders with all fields set, and with none, and batches.
func traded() (out []*Decision) {
	n := 0
	for _, full := range []bool{true, false} {
		x, e := &PlaceOrder{}, &OrderFilled{}
		if full {
			fill(reflect.ValueOf(x).Elem(), &n)
			fill(reflect.ValueOf(e).Elem(), &n)
		}
		d := &Decision{}
		d.Reset(7, Request{At: 1_767_355_200_000_000, Principal: "ana", Key: Tag{1: 2}, Input: Tag{3: 4}, Command: x})
		d.Add(e)
		out = append(out, d)
	}
	for _, events := range []int{3, 9} { // what a decision has room for, and more
		d := &Decision{}
		d.Reset(8, Request{At: 1_767_355_200_000_000, Principal: "ana", Command: &Batch{Items: []Command{
			&PlaceOrder{Account: 1}, &CancelAll{Account: 1}, &PlaceOrder{Account: 2}, &PlaceOrder{Account: 3},
		}}})
		for i := range events {
			d.Add(&OrderFilled{Account: AccountID(i + 1)})
			if i%2 == 1 {
				d.Events[i] = &OrderRested{Account: AccountID(i + 1)}
			}
		}
		d.Results = []Result{{Events: uint32(events)}, {}, {Code: InvalidCommand}, {}}
		out = append(out, d)
	}
	return out
}

// TestReread: what comes back of a record is what Decode returns, whoever lends
// its text, and shares nothing that changes with what was encoded.
func TestReread(t *testing.T) {
	all := append(samples(), traded()...)
	for i, d := range all {
		b := d.Append(nil)
		want, err := Decode(d.Seq, b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := new(Coder).Reread(d, b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s comes back as\n%+v (%v), want\n%+v", d.Command.Type(), got, err, want)
		}
		// Of another record it is not the decision's own words that come back.
		other := all[(i+1)%len(all)]
		c := other.Append(nil)
		want, err = Decode(d.Seq, c)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := new(Coder).Reread(d, c); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s rereads %s as\n%+v (%v), want\n%+v", d.Command.Type(), other.Command.Type(), got, err, want)
		}
		for n := range b {
			if _, err := new(Coder).Reread(d, b[:n]); !errors.Is(err, ErrEncoding) {
				t.Errorf("%s cut to %d of %d bytes: %v", d.Command.Type(), n, len(b), err)
			}
		}
	}
	for _, d := range traded() {
		b := d.Append(nil)
		got, err := new(Coder).Reread(d, b)
		if err != nil {
			t.Fatal(err)
		}
		*d.Events[0].(*OrderFilled) = OrderFilled{Order: 99}
		switch x := d.Command.(type) {
		case *PlaceOrder:
			*x = PlaceOrder{Account: 99}
		case *Batch:
			*x.Items[0].(*PlaceOrder) = PlaceOrder{Account: 99}
			d.Results[0] = Result{Detail: "another"}
		}
		if !bytes.Equal(got.Append(nil), b) {
			t.Error("it changes with the decision that it was read for")
		}
	}
}

// BenchmarkRecord is what a filled order costs to write and to read back.
func BenchmarkRecord(b *testing.B) {
	d := traded()[0]
	f := d.Events[0].(*OrderFilled)
	f.Fills, f.Met, f.Own = nil, nil, false
	var room []byte
	var k Coder
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			room = k.Append(room[:0], d)
		}
	})
	b.Run("reread", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := k.Reread(d, room); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := k.Decode(d.Seq, room); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Kinds and words are unique, and there is a sample of each.
func TestKinds(t *testing.T) {
	words, commands, events := map[string]bool{}, 0, 0
	for kind := uint8(1); kind != 0; kind++ {
		if c := newCommand(kind); c != nil {
			if commands++; c.commandKind() != kind || words["command "+c.Type()] {
				t.Errorf("%s is %d and says %d", c.Type(), kind, c.commandKind())
			}
			words["command "+c.Type()] = true
		}
		if e := newEvent(kind); e != nil {
			if events++; e.eventKind() != kind || words["event "+e.Type()] {
				t.Errorf("%s is %d and says %d", e.Type(), kind, e.eventKind())
			}
			words["event "+e.Type()] = true
		}
	}
	if got := len(samples()); got != 2*(commands+events) {
		t.Errorf("%d samples of %d commands and %d events", got, commands, events)
	}
}

// The records of every command and event: a journal is read for years, so what
// is written here must never change.
func TestRecords(t *testing.T) {
	var out strings.Builder
	for i, d := range samples() {
		b := d.Append(nil)
		got, err := Decode(d.Seq, b)
		if err != nil {
			t.Fatalf("%s: %v", d.Command.Type(), err)
		}
		if !bytes.Equal(got.Append(nil), b) {
			t.Errorf("%s: %x encodes to %x", d.Command.Type(), b, got.Append(nil))
		}
		what := "command " + d.Command.Type()
		if len(d.Events) != 0 {
			what = "event " + d.Events[0].Type()
		}
		fmt.Fprintf(&out, "%s\n%s\n", what, hex.EncodeToString(b))
		a, _ := json.Marshal(d)
		c, err := json.Marshal(got)
		if err != nil || i%2 == 1 && !bytes.Equal(a, c) { // empty lists are made so by who decides
			t.Errorf("%s: written %s, read %s (%v)", what, a, c, err)
		}
		if b[0] != recordVersion {
			t.Errorf("%s: version %d", what, b[0])
		}
	}
	given.Golden(t, "testdata/records.txt", out.String())
}

// The API's form of every command and event.
func TestDecisionJSON(t *testing.T) {
	docs := []*Decision{}
	for i, d := range samples() {
		if i%2 == 1 { // those with all fields set
			docs = append(docs, d)
		}
	}
	got, err := json.MarshalIndent(docs, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	given.Golden(t, "testdata/decisions.json", string(got)+"\n")
}

// Record version 2 is the only one; nothing was released with another.
func TestOtherVersionsAreRefused(t *testing.T) {
	b := samples()[0].Append(nil)
	for version := range 256 {
		b[0] = byte(version)
		_, err := Decode(1, b)
		if (err == nil) != (version == recordVersion) || err != nil && !errors.Is(err, ErrEncoding) {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// A changed bit is refused or gives another decision; a cut is always refused.
func TestTamperedRecords(t *testing.T) {
	for i, d := range samples() {
		b := d.Append(nil)
		whole, err := Decode(d.Seq, b)
		if err != nil {
			t.Fatal(err)
		}
		for n := range b {
			if _, err := Decode(1, b[:n]); !errors.Is(err, ErrEncoding) {
				t.Fatalf("sample %d cut to %d of %d bytes: %v", i, n, len(b), err)
			}
			for bit := range 8 {
				c := bytes.Clone(b)
				c[n] ^= 1 << bit
				other, err := Decode(d.Seq, c)
				if err == nil && reflect.DeepEqual(other, whole) {
					t.Fatalf("sample %d with bit %d of byte %d turned is the same decision", i, bit, n)
				}
			}
		}
		if _, err := Decode(d.Seq, append(b, 0)); !errors.Is(err, ErrEncoding) {
			t.Fatalf("sample %d with a byte more: %v", i, err)
		}
	}
}

// Whatever decodes encodes to the same bytes: one decision has one encoding.
func FuzzDecode(f *testing.F) {
	for _, d := range samples() {
		f.Add(d.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Decode(1, b)
		if err != nil {
			return
		}
		if got := d.Append(nil); !bytes.Equal(got, b) {
			t.Fatalf("%x encodes to %x", b, got)
		}
		if _, err := d.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
	})
}

// Every text form that is written is read back, and nothing else is.
func TestTextForms(t *testing.T) {
	for _, o := range []OrderID{OrderOf(1, 0), OrderOf(1, 49), OrderOf(1<<58-1, 7)} {
		var got OrderID
		if err := got.UnmarshalText([]byte(o.String())); err != nil || got != o {
			t.Errorf("%s: %d, %v", o, got, err)
		}
	}
	for _, s := range []string{"", "ord_", "ord_0", "ord_01", "ord_+1", "ord_1.", "ord_1.0", "ord_1.50", "ord_1.01", "ord_1.+1", "ord_1.1.1", "ord_288230376151711744", "mkt_1"} {
		var got OrderID
		if err := got.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q is read as %s", s, got)
		}
	}
	for k := range 256 {
		o := Outcome(k)
		b, _ := o.MarshalText()
		var got Outcome
		err := got.UnmarshalText(b)
		known := o <= None || o >= Nth(0) && o < Nth(0)+MaxOutcomes
		if known != (err == nil) || known && got != o {
			t.Errorf("outcome %d is %s, read as %d (%v)", k, b, got, err)
		}
	}
	for _, s := range []string{"", "yes", "O0", "O65", "O01", "O+1", "O"} {
		var got Outcome
		if err := got.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q is read as %s", s, got)
		}
	}
}
