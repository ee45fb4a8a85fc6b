package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/obs/telemetry"
)

func serveCommand() *cobra.Command {
	cfg := defaultConfig()
	var file string
	var show bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the platform in this process",
		Long: `Run the platform: journal, decisions, HTTP API, panel, metrics, audit tree, and the
change capture into the lake. In an empty data folder it makes the first API key,
whose secret it writes to admin.key there, and the key that signs checkpoints,
audit/signing.key: keep copies of both.

With --journal the decisions are in a PostgreSQL database, which several processes
may name, each with a data folder of its own: one decides, the others follow, answer
reads, and the first that finds the lease of the one expired goes on deciding. See
docs/runbooks/ha.md.

Each flag can also be set in the environment (--data as MBP_DATA) or in the YAML
file of --config (data: …). A flag wins over the environment, the environment
over the file. SIGTERM or SIGINT shuts down gracefully; a second one ends at
once, which loses no decision that was answered.`,
		Example: `  mbp serve
  mbp serve --data /var/lib/mbp --listen 127.0.0.1:9000
  mbp serve --print-config > mbp.yaml && mbp serve --config mbp.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := load(cmd.Flags(), cmp.Or(file, os.Getenv("MBP_CONFIG")), os.LookupEnv); err != nil {
				return usage(err)
			}
			if err := cfg.Validate(); err != nil {
				return usage(err)
			}
			if show {
				printConfig(cmd.OutOrStdout(), cmd.Flags())
				return nil
			}
			signals := make(chan os.Signal, 2)
			signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
			defer signal.Stop(signals)
			return serve(cmd.Context(), cfg, signals, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cfg.bind(cmd.Flags())
	cmd.Flags().StringVar(&file, "config", "", "YAML `file` with any of these settings (MBP_CONFIG)")
	cmd.Flags().BoolVar(&show, "print-config", false, "print the configuration that would be used, as such a file, and end")
	return cmd
}

// errInterrupted is the reason of an immediate end.
var errInterrupted = errors.New("second signal: ended at once")

// serve runs the platform until ctx ends, a signal comes, or a part fails that
// it cannot do without.
func serve(ctx context.Context, cfg Config, signals <-chan os.Signal, stdout, stderr io.Writer) error {
	log, err := newLogger(cfg, stderr)
	if err != nil {
		return usage(err)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", cfg.Listen) // first: a taken address is told before any work
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer func() { _ = listener.Close() }() // the server closes it first; this is for a failed start
	p, err := open(cfg, log)
	if err != nil {
		return err
	}
	defer p.close()
	// Each part has its own end, because they end one after the other; ctx only
	// asks for the shutdown.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	g, failed := errgroup.WithContext(ctx)
	if err := p.start(life, failed, g, listener); err != nil {
		end()
		return errors.Join(err, g.Wait())
	}
	scheme, place := "http", ""
	if cfg.TLSCert != "" {
		scheme = "https"
	}
	if cfg.Journal != "" {
		place = " journal=" + cfg.Journal.String()
	}
	fmt.Fprintf(stdout, "mbp serves %s://%s data=%s%s\n", scheme, listener.Addr(), cfg.Data, place)
	select {
	case <-failed.Done(): // the caller's context, or a part that failed
	case s := <-signals:
		log.Info("shutting down", "signal", s.String())
	}
	grace, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), cfg.Shutdown, fmt.Errorf("it took longer than %s", cfg.Shutdown))
	defer cancel()
	grace, interrupt := context.WithCancelCause(grace)
	defer interrupt(nil)
	go func() {
		select {
		case <-signals:
			interrupt(errInterrupted)
		case <-grace.Done():
		}
	}()
	if err := p.shutdown(grace, end); err != nil {
		return fmt.Errorf("shutdown: %w", err)
	}
	if err := errors.Join(g.Wait(), p.compare()); err != nil {
		return err
	}
	log.Info("shut down", "seq", uint64(p.seq.Durable()))
	return nil
}

func newLogger(cfg Config, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return nil, err
	}
	return telemetry.Logger(w, level, cfg.LogFormat == "json"), nil
}
