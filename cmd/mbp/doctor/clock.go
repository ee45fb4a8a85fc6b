package doctor

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// clock compares this machine's clock with the files of the journal, which cannot
// be from the future, and with the server's.
func (i Installation) clock(ctx context.Context, up error) Finding {
	f := Finding{Check: "clock", State: Pass, Found: i.Now.UTC().Format(time.RFC3339) + ", later than every file of the journal"}
	const next = "set the clock by NTP before the server decides anything: its decisions carry its time for ever"
	names, _ := filepath.Glob(filepath.Join(i.Data, "journal", "*")) // the pattern is a good one
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(i.Now.Add(maxSkew)) {
			return Finding{"clock", Fail, fmt.Sprintf("%s was written at %s, which has not come yet", name, info.ModTime().UTC().Format(time.RFC3339)), next}
		}
	}
	if up != nil {
		return f
	}
	at, err := i.serverTime(ctx)
	if err != nil {
		f.Found += "; the server did not tell its own: " + err.Error()
		return f
	}
	// The header has whole seconds.
	if off := time.Since(at).Abs(); off > maxSkew+time.Second {
		return Finding{"clock", Fail, fmt.Sprintf("the server's clock is %s off", off.Round(time.Second)), next}
	}
	f.Found += ", and the server's is the same"
	return f
}

// serverTime is the Date of an answer.
func (i Installation) serverTime(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	base := "http://" + i.Listen
	if i.Server != nil {
		base = i.Server.URL()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return time.Time{}, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return time.Time{}, err
	}
	_ = res.Body.Close() // only its header counts
	return http.ParseTime(res.Header.Get("Date"))
}
