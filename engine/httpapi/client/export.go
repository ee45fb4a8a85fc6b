package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// Export says what a file is to hold: trades, positions or decisions, as csv or
// parquet. First and Last bound its sequences, From and Until its times; zero is no
// bound.
type Export struct {
	Table, Format string
	First, Last   engine.Seq
	From, Until   engine.Time // from on, before until
}

func (x Export) query() url.Values {
	q := Past{From: x.From, Until: x.Until}.query()
	q.Set("format", x.Format)
	for name, v := range map[string]engine.Seq{"first": x.First, "last": x.Last} {
		if v != 0 {
			q.Set(name, strconv.FormatUint(uint64(v), 10))
		}
	}
	return q
}

// Export writes a table as the server gives it. It is not tried again, and what w
// got before an error is no file. Roles: operator, auditor, admin.
func (c *Client) Export(ctx context.Context, w io.Writer, x Export) error {
	fail := func(err error) error { return fmt.Errorf("GET /v1/exports/%s: %w", x.Table, err) }
	req, err := c.request(ctx, &call{method: http.MethodGet, path: "/v1/exports/" + url.PathEscape(x.Table), query: x.query()}, nil)
	if err != nil {
		return fail(err)
	}
	req.Header.Set("Accept", "*/*")
	res, err := c.http.Do(req)
	if err != nil {
		return fail(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, c.most))
		return fail(problem(answer{status: res.StatusCode, header: res.Header, body: b}, time.Now()))
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fail(err)
	}
	return nil
}
