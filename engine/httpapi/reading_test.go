package httpapi

import (
	"context"
	"encoding"
	"reflect"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// one fills a parameter of a read with the first of whatever it names.
func one(typ reflect.Type) reflect.Value {
	v := reflect.New(typ).Elem()
	switch {
	case typ == reflect.TypeFor[client.Order]():
		v.Set(reflect.ValueOf(client.Order{Market: 1, Side: engine.Buy, TIF: engine.IOC, Shares: 1}))
	case typ == reflect.TypeFor[engine.OrderID]():
		v.Set(reflect.ValueOf(engine.OrderOf(1, 0)))
	case typ == reflect.TypeFor[engine.Outcome](): // the first is 0
	case typ.Kind() == reflect.String: // a name in a path
		v.SetString("x")
	case v.CanUint():
		v.SetUint(1)
	case v.CanInt() && !typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		v.SetInt(1)
	}
	return v
}

// TestTheClientReadsEverything: for each read of the contract the client has a
// method, which asks where the server listens. What mutates is in
// TestWhatTheClientSays, the shapes are in TestContractKnowsEveryMember.
func TestTheClientReadsEverything(t *testing.T) {
	o, n := withTree(t)
	e := start(t, o)
	e.market(e.funded(1_000_000))
	if n.sign(); n.Newest().Size == 0 {
		t.Fatal("nothing was signed")
	}
	c, err := client.New(e.url, e.key("all", allRoles, 1))
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.ValueOf(c.With(client.NoRetry()))
	called := 0
	for i := range v.NumMethod() {
		m, typ := v.Method(i), v.Method(i).Type()
		if typ.NumIn() == 0 || typ.In(0) != reflect.TypeFor[context.Context]() || typ.IsVariadic() || strings.HasPrefix(v.Type().Method(i).Name, "Stream") {
			continue
		}
		args := []reflect.Value{reflect.ValueOf(t.Context())}
		for p := 1; p < typ.NumIn(); p++ {
			args = append(args, one(typ.In(p)))
		}
		m.Call(args) // refused or not, it was asked
		called++
	}
	e.quiet()
	for _, rt := range e.api.routes() {
		if rt.read == nil {
			continue
		}
		asked := 0.0
		for _, class := range []string{"2xx", "4xx"} {
			asked += e.value("http_requests_total", "route", rt.pattern(), "class", class)
		}
		if asked == 0 {
			t.Errorf("no method of the client reads %s", rt.pattern())
		}
	}
	if called < 15 {
		t.Errorf("only %d methods were called", called)
	}
}
