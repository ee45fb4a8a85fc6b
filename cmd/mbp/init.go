package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/cmd/mbp/profile"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// founding is what `mbp init` was told.
type founding struct {
	dir      string // absolute
	listen   string
	profiles bool
	prefix   string // of the names of profiles
}

// people are whom an installation begins with beside the admin: two who trade, and
// two who resolve, because one alone cannot.
var people = []struct {
	name  string
	roles engine.Roles
}{
	{"ana", engine.RoleTrader}, {"ben", engine.RoleTrader}, {"rita", engine.RoleResolver}, {"rui", engine.RoleResolver},
}

const (
	settingsFile = "mbp.yaml"
	keysFolder   = "keys"
	allowance    = 100 * engine.One // credits of each who trades
	houseCredits = 10_000 * engine.One
)

func initCommand() *cobra.Command {
	x := &founding{}
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Make a folder that is ready to serve, with keys and an example",
		Long: `Make a folder that is ready to serve: settings (mbp.yaml), the keys of an admin, of
two traders, ana and ben, with 100 credits each, and of two resolvers, rita and rui
(keys/), and the data of a server that has decided all that, with an example market
that the account of the house gave liquidity to (data/).

For each key a profile of that name is made, so that --profile ana is ana. The
folder is made whole or not at all.`,
		Example: "  mbp init demo && mbp serve --config demo/mbp.yaml\n  mbp market list --profile ana",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return usage(err)
			}
			x.dir = dir
			return x.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&x.listen, "listen", cmp.Or(os.Getenv(envName("listen")), defaultConfig().Listen), "address that the server will have, `host:port` (MBP_LISTEN)")
	f.BoolVar(&x.profiles, "profiles", true, "make a profile for each key")
	f.StringVar(&x.prefix, "prefix", "", "`text` before the names of the profiles")
	return cmd
}

// run founds the installation.
//
// The crash story: everything is made in a folder beside the one that was named,
// which takes its name last; a crash leaves that folder, which means nothing to
// anybody. A crash after that leaves the installation without its profiles, which
// `mbp profile add` makes.
func (x *founding) run(ctx context.Context, stdout, stderr io.Writer) error {
	f, err := x.free()
	if err != nil {
		return usage(err)
	}
	if err := machine.DataFolder(filepath.Dir(x.dir)); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(x.dir), ".mbp-init-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // it is gone by its new name, or nobody misses it
	if err := os.Mkdir(filepath.Join(work, keysFolder), 0o700); err != nil {
		return err
	}
	if err := x.settings(work); err != nil {
		return err
	}
	market, err := x.found(ctx, work, stderr)
	if err != nil {
		return err
	}
	// For the day when there is an identity provider: nobody has to make it then.
	if _, err := machine.Secret(filepath.Join(work, "data", personSaltFile), true); err != nil {
		return err
	}
	if err := os.Rename(work, x.dir); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s is ready, with the market %s\n", x.dir, market)
	if x.profiles {
		if err := x.name(&f); err != nil {
			return fmt.Errorf("%w; the folder is there, `mbp profile add` makes the profiles", err)
		}
		fmt.Fprintf(stdout, "profiles: %s; %s is in use\n", strings.Join(f.Names(), ", "), f.Use)
	}
	fmt.Fprintf(stdout, "serve it: mbp serve --config %s\n", filepath.Join(x.dir, settingsFile))
	return nil
}

// free refuses a folder and profiles that are there.
func (x *founding) free() (profile.File, error) {
	if _, err := os.Lstat(x.dir); !errors.Is(err, fs.ErrNotExist) {
		return profile.File{}, fmt.Errorf("%s is there already; name another folder", x.dir)
	}
	if !x.profiles {
		return profile.File{}, nil
	}
	f, err := profile.Load()
	if err != nil {
		return f, err
	}
	for _, name := range x.everybody() {
		if _, taken := f.Profiles[x.prefix+name]; taken {
			return f, fmt.Errorf("there is a profile %s already; say --prefix TEXT, or --profiles=false", x.prefix+name)
		}
	}
	return f, nil
}

func (x *founding) everybody() []string {
	all := []string{"admin"}
	for _, p := range people {
		all = append(all, p.name)
	}
	return all
}

// settings writes the file for mbp serve; the folder is named as it will be.
func (x *founding) settings(work string) error {
	cfg := defaultConfig()
	cfg.Listen, cfg.Data, cfg.DbtResults, cfg.RUMURL = x.listen, filepath.Join(x.dir, "data"), "", ""
	if err := cfg.Validate(); err != nil {
		return usage(err)
	}
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	cfg.bind(f)
	var b bytes.Buffer
	printConfig(&b, f)
	return os.WriteFile(filepath.Join(work, settingsFile), b.Bytes(), 0o600)
}

// found serves the folder on a free port of this machine for as long as its first
// decisions take.
func (x *founding) found(ctx context.Context, work string, stderr io.Writer) (engine.MarketID, error) {
	cfg := defaultConfig()
	cfg.Listen, cfg.Data, cfg.DbtResults, cfg.LogLevel = "127.0.0.1:0", filepath.Join(work, "data"), "", "error"
	ctx, end := context.WithCancel(ctx)
	defer end()
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := serve(ctx, cfg, nil, in, stderr)
		in.CloseWithError(io.EOF)
		done <- err
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, errors.Join(errors.New("the server did not start"), <-done)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // it says no more
	var market engine.MarketID
	if fields := strings.Fields(line); len(fields) > 2 {
		market, err = furnish(ctx, fields[2], work)
	}
	end()
	return market, errors.Join(err, <-done)
}

// furnish has the first decisions made.
func furnish(ctx context.Context, url, work string) (engine.MarketID, error) {
	keys := filepath.Join(work, keysFolder)
	admin := filepath.Join(keys, "admin.key")
	if err := os.Rename(filepath.Join(work, "data", adminKeyFile), admin); err != nil {
		return 0, err
	}
	b, err := machine.ReadOwn(admin)
	if err != nil {
		return 0, err
	}
	cl, err := client.New(url, strings.TrimSpace(string(b)))
	if err != nil {
		return 0, err
	}
	house, err := funded(ctx, cl, houseCredits)
	if err != nil {
		return 0, err
	}
	for _, p := range people {
		k := engine.Key{Principal: p.name, Roles: p.roles}
		if p.roles.Has(engine.RoleTrader) {
			if k.Account, err = funded(ctx, cl, allowance); err != nil {
				return 0, err
			}
		}
		var secret string
		if secret, k.SHA256, err = client.NewSecret(); err != nil {
			return 0, err
		}
		if err := machine.WriteSecret(filepath.Join(keys, p.name+".key"), secret); err != nil {
			return 0, err
		}
		if _, err := cl.AddKey(ctx, k); err != nil {
			return 0, err
		}
	}
	d, err := cl.OpenMarket(ctx, engine.OpenMarket{
		Template: engine.DefaultTemplate().Name(), Title: "Does the next release ship on time?", Creator: house, Liquidity: 500 * engine.One, Price: engine.One / 2,
	})
	if err != nil {
		return 0, err
	}
	return d.Market()
}

func funded(ctx context.Context, cl *client.Client, n engine.Micros) (engine.AccountID, error) {
	d, err := cl.OpenAccount(ctx)
	if err != nil {
		return 0, err
	}
	id, err := d.Account()
	if err != nil {
		return 0, err
	}
	_, err = cl.Grant(ctx, id, n)
	return id, err
}

// name makes the profiles.
func (x *founding) name(f *profile.File) error {
	for _, who := range x.everybody() {
		p := profile.Profile{URL: "http://" + x.listen, KeyFile: filepath.Join(x.dir, keysFolder, who+".key")}
		if err := f.Put(x.prefix+who, p); err != nil {
			return err
		}
	}
	return f.Save()
}
