package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// build makes the binary that is measured, from these sources.
func build(ctx context.Context, dir string, stderr io.Writer) (string, error) {
	bin, err := filepath.Abs(filepath.Join(dir, "mbp"))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/mbp-market/mbp/cmd/mbp")
	cmd.Stderr = stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build mbp: %w", err)
	}
	return bin, nil
}

// house is mbp serve in a process, with a market and traders.
type house struct {
	bin, dir, name string
	stderr         io.Writer
	args           []string // of mbp serve, beside the usual ones
	many           int      // markets to open; 0: one

	cmd     *exec.Cmd
	address string // host:port; the same after a restart
	admin   *client.Client
	keys    []string // secrets of the traders

	accounts []engine.AccountID // of the traders
	markets  []engine.MarketID
}

var serving = regexp.MustCompile(`mbp serves http://(\S+)`)

// start runs the process until it is ready.
func (h *house) start(ctx context.Context) error {
	listen, data := h.address, filepath.Join(h.dir, h.name)
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	h.cmd = exec.CommandContext(ctx, h.bin, append([]string{
		"serve", "--data", data, "--listen", listen, "--dbt-results", "", "--rum-url", "", "--log-level", "error",
	}, h.args...)...)
	h.cmd.Stderr = h.stderr
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := atUsual(h.cmd.Start); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	m := serving.FindStringSubmatch(line)
	if m == nil {
		return errors.Join(fmt.Errorf("mbp serve says %q: %w", line, err), h.kill())
	}
	h.address = m[1]
	secret, err := os.ReadFile(filepath.Join(data, "admin.key"))
	if err == nil {
		h.admin, err = client.New("http://"+h.address, strings.TrimSpace(string(secret)))
	}
	if err != nil {
		return errors.Join(err, h.kill())
	}
	return h.ready(ctx)
}

// startTime bounds how long a server may take until it is ready.
const startTime = 30 * time.Second

func (h *house) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		err := h.admin.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// stop ends the process as an operator does, and tells what it said of it.
func (h *house) stop() error {
	if h.cmd == nil || h.cmd.ProcessState != nil {
		return nil
	}
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := h.cmd.Wait(); err != nil {
		return fmt.Errorf("mbp serve ended with %w", err)
	}
	return nil
}

// kill ends the process as the kernel would.
func (h *house) kill() error {
	if err := h.cmd.Process.Kill(); err != nil {
		return err
	}
	var exit *exec.ExitError
	if err := h.cmd.Wait(); !errors.As(err, &exit) {
		return err
	}
	return nil
}

// furnish makes traders, each with an account and a key, and markets whose pools are so
// deep that no trade of one share moves their prices to the guard. The order rate of an
// account is as high as it can be: what is measured is what the edge refuses, and not
// what the engine does.
func (h *house) furnish(ctx context.Context, traders int) error {
	policy := engine.DefaultPolicy()
	policy.Version, policy.OrderInterval, policy.OrderBurst = "1.0.1", 1, 1_000_000
	if _, err := h.admin.SetPolicy(ctx, policy); err != nil {
		return err
	}
	for i := range traders {
		d, err := h.admin.OpenAccount(ctx)
		if err != nil {
			return err
		}
		account, err := d.Account()
		if err != nil {
			return err
		}
		if _, err := h.admin.Grant(ctx, account, 1_000_000*engine.One); err != nil {
			return err
		}
		secret, digest, err := client.NewSecret()
		if err != nil {
			return err
		}
		if _, err := h.admin.AddKey(ctx, engine.Key{SHA256: digest, Principal: "trader-" + strconv.Itoa(i), Roles: engine.RoleTrader, Account: account}); err != nil {
			return err
		}
		h.keys, h.accounts = append(h.keys, secret), append(h.accounts, account)
	}
	for i := range max(1, h.many) {
		d, err := h.admin.OpenMarket(ctx, engine.OpenMarket{
			Template: "binary@1.0.0", Title: "Does it rain?", Creator: h.accounts[i], Liquidity: 900_000 * engine.One, Price: 500_000,
		})
		if err != nil {
			return err
		}
		m, err := d.Market()
		if err != nil {
			return err
		}
		h.markets = append(h.markets, m)
	}
	return nil
}

// memory is what the process has in memory, in bytes.
func (h *house) memory() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("memory of the server: %w", err)
	}
	m := regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`).FindSubmatch(b)
	if m == nil {
		return 0, errors.New("the kernel tells no memory of the server")
	}
	kib, err := strconv.ParseFloat(string(m[1]), 64)
	return kib * 1024, err
}

// processor is the time that the process has had on processors, in seconds.
func (h *house) processor() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ") // after the name of the program
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100 // clock ticks of every Linux
}

// counter reads a series without labels of the server; 0 is that it has none.
func (h *house) counter(ctx context.Context, name string) float64 {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.address+"/metrics", nil)
	if err != nil {
		return 0
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 1<<20))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(b)
	if m == nil {
		return 0
	}
	v, _ := strconv.ParseFloat(string(m[1]), 64) // a float by the format
	return v
}
