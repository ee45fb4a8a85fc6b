package wire

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine"
)

// draw fills a value: numbers often at their ends, texts that JSON has to
// escape, lists of up to three elements.
func draw(t *rapid.T, v reflect.Value) {
	if v.Kind() != reflect.Struct && rapid.IntRange(0, 2).Draw(t, "zero") == 0 {
		return
	}
	switch v.Kind() {
	case reflect.Uint8:
		v.SetUint(uint64(rapid.SampledFrom([]uint8{1, 2, 3, 4, 64, 99, 127, 255}).Draw(t, "byte")))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64Range(0, 1<<min(v.Type().Bits()-1, 62)).Draw(t, "unsigned"))
	case reflect.Int64:
		if v.Type() == reflect.TypeFor[engine.Time]() {
			v.SetInt(rapid.Int64Range(0, 253_402_300_799_999_999).Draw(t, "time")) // up to the year 9999
			return
		}
		v.SetInt(rapid.Int64().Draw(t, "signed"))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(rapid.StringOf(rapid.SampledFrom([]rune("aZ09 .<>&\"\\\u2028\x7f\x01ü…"))).Draw(t, "text"))
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, "elements")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			draw(t, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			draw(t, v.Field(i))
		}
	default:
		t.Fatalf("no rule for %s", v.Type())
	}
}

func drawn[T any](t *rapid.T, x *T) *T {
	draw(t, reflect.ValueOf(x).Elem())
	return x
}

func drawCommand(t *rapid.T) engine.Command {
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) engine.Command { return drawn(t, &engine.PlaceOrder{}) }),
		rapid.Custom(func(t *rapid.T) engine.Command { return drawn(t, &engine.CancelAll{}) }),
		rapid.Custom(func(t *rapid.T) engine.Command { return drawn(t, &engine.AmendOrder{}) }),
		rapid.Just(engine.Command(&engine.OpenAccount{})),
	).Draw(t, "command")
}

func drawEvent(t *rapid.T) engine.Event {
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) engine.Event { return drawn(t, &engine.OrderFilled{}) }),
		rapid.Custom(func(t *rapid.T) engine.Event {
			return &Filled{drawn(t, &engine.OrderFilled{}), *drawn(t, &[]Piece{})}
		}),
		rapid.Custom(func(t *rapid.T) engine.Event { return drawn(t, &engine.OrderRested{}) }),
		rapid.Custom(func(t *rapid.T) engine.Event { return drawn(t, &engine.OrdersClosed{}) }),
		rapid.Custom(func(t *rapid.T) engine.Event { return drawn(t, &engine.AbuseRaised{}) }),
	).Draw(t, "event")
}

// TestAppendsWhatMarshalWrites: the short way of a decision and of a command
// gives the bytes of the long one. What a command is appended as tells a retry
// from a reuse of its key, over every version.
func TestAppendsWhatMarshalWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &engine.Decision{Seq: engine.Seq(rapid.Uint64().Draw(t, "seq")), Request: engine.Request{Command: drawCommand(t)}}
		if rapid.Bool().Draw(t, "batch") {
			d.Command = &engine.Batch{Items: rapid.SliceOfN(rapid.Custom(drawCommand), 0, 3).Draw(t, "items")}
			drawn(t, &d.Results)
		}
		drawn(t, &d.At)
		drawn(t, &d.Code)
		drawn(t, &d.Detail)
		drawn(t, &d.Principal)
		d.Events = rapid.SliceOfN(rapid.Custom(drawEvent), 0, 3).Draw(t, "events")
		want, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := AppendDecision([]byte("x"), d); err != nil || string(got) != "x"+string(want) {
			t.Fatalf("appended %v\n%s\nmarshalled\n%s", err, got, want)
		}
		if want, err = json.Marshal(d.Command); err != nil {
			t.Fatal(err)
		}
		if got, err := AppendCommand([]byte("x"), d.Command); err != nil || string(got) != "x"+string(want) {
			t.Fatalf("appended %v\n%s\nmarshalled\n%s", err, got, want)
		}
	})
}
