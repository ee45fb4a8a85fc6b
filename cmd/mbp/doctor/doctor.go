// Package doctor looks at an installation of mbp and says, check by check, what is
// wrong with it and what to do next.
//
// It promises to change nothing: it opens the journal for reading only, makes no
// folder and no file that stays, and asks a running server only what anybody may
// ask, and whom the caller's own key stands for. A check that could not look is
// NOT_RUN and says why; it has not passed.
//
// It refuses to guess: what needs a stopped server, a key, or rights that the
// caller has not, is not reported as well.
package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// State is what came of a check.
type State string

// The states. Only Pass has passed.
const (
	Pass   State = "PASS"
	Fail   State = "FAIL"
	NotRun State = "NOT_RUN"
)

// Finding is one check.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Found string `json:"found"`
	Next  string `json:"next,omitempty"` // what to do; empty if nothing is to be done
}

// Installation is what is looked at.
type Installation struct {
	ConfigFile  string         // where the settings come from; empty: defaults, environment and flags
	ConfigFault error          // what is wrong with them
	Data        string         // folder of the server
	Archive     string         // of its released segments; empty: it is told none
	Database    bool           // the journal is in one
	Listen      string         // its address, host:port
	Connections int            // that it may hold
	Keys        []string       // files of secrets
	Server      *client.Client // nil: there is no key for it
	ServerFault error          // why not
	Now         time.Time
}

// Bounds of the checks.
const (
	askWithin = 3 * time.Second // for one question to the server
	// leastFree is a segment of the journal, its snapshot and the lake of an hour,
	// many times over; below it a busy server stops within a day.
	leastFree = 1 << 30
	// maxSkew is what clocks in one network differ by at most. Times of decisions
	// never go back, but those of a wrong clock are wrong for ever.
	maxSkew = 5 * time.Second
)

// Examine runs every check, in the order in which a person would look.
func Examine(ctx context.Context, i Installation) []Finding {
	up := i.reachable(ctx)
	out := []Finding{i.config(), i.folder()}
	for _, k := range i.Keys {
		out = append(out, keyFile(k))
	}
	out = append(out, i.signingKey(), i.disk(), i.files(), i.clock(ctx, up), i.port(up), i.journal(ctx), i.lake(), i.server(up), i.key(ctx, up))
	return append(out, tools()...)
}

// Write shows the findings for people, or as JSON.
func Write(w io.Writer, all []Finding, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(all)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.State, f.Check, f.Found)
		if f.Next != "" {
			fmt.Fprintf(t, "\t\t→ %s\n", f.Next)
		}
	}
	return t.Flush()
}

// Failed counts the checks that failed.
func Failed(all []Finding) (n int) {
	for _, f := range all {
		if f.State == Fail {
			n++
		}
	}
	return n
}

func (i Installation) config() Finding {
	f := Finding{Check: "configuration", State: Pass, Found: "valid"}
	if i.ConfigFile != "" {
		f.Found = i.ConfigFile + " is valid"
	}
	if i.ConfigFault != nil {
		f.State, f.Found = Fail, strings.ReplaceAll(i.ConfigFault.Error(), "\n", "; ")
		f.Next = "correct it; `mbp serve --print-config` shows every setting with what it means"
	}
	return f
}

func (i Installation) folder() Finding {
	f := Finding{Check: "data folder", State: Pass}
	info, err := os.Stat(i.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Finding{"data folder", NotRun, i.Data + " is not there yet", "`mbp init DIR` makes one with keys and an example, `mbp serve --data " + i.Data + "` an empty one"}
	case err != nil:
		f.State, f.Found, f.Next = Fail, err.Error(), "run this as the user that runs the server"
		return f
	case !info.IsDir():
		f.State, f.Found, f.Next = Fail, i.Data+" is not a folder", "name another one with --data"
		return f
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	f.Found = fmt.Sprintf("%s, mode %04o", i.Data, mode)
	switch {
	case !ok || int(st.Uid) != os.Geteuid():
		f.State, f.Found, f.Next = Fail, i.Data+" belongs to another user", "run the server, and this, as that user, or chown the folder"
	case mode&0o002 != 0:
		f.State, f.Next = Fail, "anybody may replace what is in it: look at what is there, then chmod o-w "+i.Data
	case mode&0o055 != 0:
		f.Next = "other users can look into it; if they should not: chmod 700 " + i.Data
	}
	return f
}

func keyFile(name string) Finding {
	f := Finding{Check: "key file", State: Pass, Found: name + " is readable by its owner alone"}
	b, err := machine.ReadOwn(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.State, f.Found, f.Next = Fail, name+" is not there", "name the right file with --key-file, or have an admin make a key: `mbp key new`"
	case err != nil:
		f.State, f.Found, f.Next = Fail, err.Error(), "chmod 600 "+name+"; if others could read it: `mbp key revoke`, and make another one"
	case !strings.HasPrefix(string(b), "mbp_"):
		f.State, f.Found, f.Next = Fail, name+" does not hold the secret of a key", "name the right file with --key-file"
	}
	return f
}

func (i Installation) signingKey() Finding {
	f := Finding{Check: "signing key", State: Pass}
	key, err := notary.Open(i.Data, false)
	switch {
	case err != nil:
		f.State, f.Found, f.Next = Fail, err.Error(), "see docs/runbooks/audit_tree.md"
	case key == nil:
		f.State, f.Found, f.Next = NotRun, "there is no audit tree yet", "the first start of `mbp serve` makes the key; keep a copy of it elsewhere"
	default:
		f.Found = "checkpoints are signed by " + key.Verifier().String()
	}
	return f
}

func (i Installation) disk() Finding {
	dir := existing(i.Data)
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Finding{"disk", NotRun, err.Error(), "look with df " + dir}
	}
	free := st.Bavail * uint64(st.Bsize)
	f := Finding{Check: "disk", State: Pass, Found: fmt.Sprintf("%.1f GiB free for %s", float64(free)/(1<<30), dir)}
	if free < leastFree {
		f.State, f.Next = Fail, "free at least 1 GiB: a full disk stops the writer, and no decision is lost; archive old segments (docs/runbooks)"
	}
	return f
}

// existing is the folder, or the nearest one above it that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

func (i Installation) files() Finding {
	got := machine.Connections(i.Connections)
	f := Finding{Check: "open files", State: Pass, Found: fmt.Sprintf("%d connections are possible, as many as set", got)}
	if got < i.Connections {
		f.State, f.Found = Fail, fmt.Sprintf("%d connections are possible, %d are set", got, i.Connections)
		f.Next = fmt.Sprintf("ulimit -n %d before the start, or a smaller --max-connections", 2*i.Connections)
	}
	return f
}

// port tells whether the address is free, or the server's own.
func (i Installation) port(up error) Finding {
	f := Finding{Check: "address", State: Pass, Found: i.Listen + " is free"}
	if up == nil {
		f.Found = i.Listen + " is the server's"
		return f
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", i.Listen)
	if err != nil {
		f.State, f.Found = Fail, err.Error()
		f.Next = "something else listens there: end it, or name another address with --listen"
		return f
	}
	_ = l.Close() // it was only tried
	return f
}

// journal has the newest signed decision proven by the journal, which changes
// nothing and needs no stop of the server.
func (i Installation) journal(ctx context.Context) Finding {
	f := Finding{Check: "journal", State: Pass}
	key, err := notary.Open(i.Data, false)
	var signed uint64
	if err == nil {
		signed, err = notary.Holds(i.Data, key)
	}
	if err == nil && signed == 0 {
		return Finding{"journal", NotRun, "nothing was signed yet that it must hold", "the first start of `mbp serve` makes it; see `mbp replay` for one without an audit tree"}
	}
	if err == nil {
		err = prove(ctx, i.Data, signed)
	}
	if err != nil {
		f.State, f.Found = Fail, strings.ReplaceAll(err.Error(), "\n", "; ")
		f.Next = "keep a copy of " + i.Data + " as it is, then bring the journal back from a copy (docs/runbooks/audit_tree.md)"
		return f
	}
	f.Found = fmt.Sprintf("it holds decision %d, the newest that was signed; `mbp replay --verify` reads all", signed)
	return f
}

// prove runs the verb that proves a decision, and keeps its answer to itself.
func prove(ctx context.Context, data string, seq uint64) error {
	cmd := notary.Command()
	cmd.SetArgs([]string{"prove", strconv.FormatUint(seq, 10), "--data", data})
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	return cmd.ExecuteContext(ctx)
}

// reachable says why the server does not answer, nil if it does.
func (i Installation) reachable(ctx context.Context) error {
	cl, err := client.New("http://"+i.Listen, "", client.WithTimeout(askWithin), client.WithRetry(client.NoRetry()))
	if i.Server != nil {
		cl, err = i.Server.As("").With(client.NoRetry()), nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	return cl.Ready(ctx)
}

func (i Installation) server(up error) Finding {
	f := Finding{Check: "server", State: Pass, Found: "ready"}
	var p *client.Problem
	switch {
	case errors.As(up, &p):
		f.State, f.Found, f.Next = Fail, "it answers and is not ready: "+up.Error(), "its log says why"
	case up != nil:
		f.State, f.Found, f.Next = NotRun, "no server answers: "+up.Error(), "start it: mbp serve; or name its address with --url"
	}
	return f
}

func (i Installation) key(ctx context.Context, up error) Finding {
	f := Finding{Check: "own key", State: Pass}
	switch {
	case i.Server == nil:
		return Finding{"own key", NotRun, i.ServerFault.Error(), "see `mbp profile --help`"}
	case up != nil:
		return Finding{"own key", NotRun, "no server to ask", ""}
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	me, err := i.Server.With(client.NoRetry()).Me(ctx)
	if err != nil {
		f.State, f.Found, f.Next = Fail, err.Error(), "the key may be another server's, or was revoked; an admin makes one with `mbp key new`"
		return f
	}
	f.Found = fmt.Sprintf("stands for %s: %s", me.Principal, strings.Join(me.Roles.Names(), ", "))
	return f
}

// tools are those that an installation may be helped by. None is needed to serve.
func tools() []Finding {
	var out []Finding
	for _, t := range [][2]string{
		{"prometheus", "metrics and alerts: obs/ops/prom holds its rules; `make tools` installs it"},
		{"dbt", "the marts over the lake; `make tools` installs it"},
	} {
		f := Finding{Check: "tool " + t[0], State: Pass}
		path, err := exec.LookPath(t[0])
		if f.Found = path; err != nil {
			f.State, f.Found, f.Next = NotRun, "not on the PATH", "only needed for "+t[1]
		}
		out = append(out, f)
	}
	return out
}
