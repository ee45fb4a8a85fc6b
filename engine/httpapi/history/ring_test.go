package history

import (
	"reflect"
	"testing"
)

// What trading leaves in a ring has no pointers, or each collection of garbage would look
// at all of its rows, which are tens of thousands.
func TestRowsHoldNoPointers(t *testing.T) {
	for _, row := range []any{trade{}, order{}, candle{}} {
		x := reflect.TypeOf(row)
		for i := range x.NumField() {
			switch f := x.Field(i); f.Type.Kind() {
			case reflect.Bool, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
			default:
				t.Errorf("%s.%s is of kind %s", x.Name(), f.Name, f.Type.Kind())
			}
		}
	}
}

// Each way in which an order ends has a word of its own.
func TestEndings(t *testing.T) {
	words := map[string]ending{}
	for e := ending(1); e != 0; e++ {
		w := e.String()
		if was, twice := words[w]; twice && w != "unknown" {
			t.Errorf("%d and %d are both %q", was, e, w)
		}
		words[w] = e
	}
	if words["filled"] != endFilled || words["done"] != endDone || words["owner"] == 0 {
		t.Errorf("the words are %v", words)
	}
}
