package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// TestExampleBots runs both market makers against a real server: each quotes, is
// traded with, leans, and leaves nothing in the book when it is ended.
func TestExampleBots(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for name, build := range map[string]func(t *testing.T, dir string) []string{
		"Go": func(t *testing.T, dir string) []string {
			bot := filepath.Join(dir, "maker")
			compile(t, root, "go", "build", "-o", bot, "./docs/examples/maker")
			return []string{bot, "mkt_1"}
		},
		"TypeScript": func(t *testing.T, dir string) []string {
			tsc := filepath.Join(root, "node_modules", ".bin", "tsc")
			if _, err := os.Stat(tsc); err != nil {
				t.Skipf("no compiler of TypeScript (make tools): %v", err)
			}
			compile(t, root, tsc, "-p", "docs/examples", "--outDir", dir)
			if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{"node", filepath.Join(dir, "docs", "examples", "maker.js"), "mkt_1"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testBot(t, build(t, t.TempDir()))
		})
	}
}

func compile(t *testing.T, root string, args ...string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func testBot(t *testing.T, command []string) {
	data := filepath.Join(t.TempDir(), "data")
	p := serveProcess(t, data, "--rum-url", "")
	key := func(name string) *client.Client {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		cl, err := client.New(p.url, strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		return cl
	}
	ctx, admin, keys := t.Context(), filepath.Join(data, adminKeyFile), t.TempDir()
	for _, step := range []string{
		"account create", "account grant acc_1 --amount 1000", "account create", "account grant acc_2 --amount 100", "account create", "account grant acc_3 --amount 100",
		"market create --title Rain --creator acc_1 --liquidity 500",
		"key new --principal bot --roles trader --account acc_2 --out " + filepath.Join(keys, "bot.key"),
		"key new --principal ana --roles trader --account acc_3 --out " + filepath.Join(keys, "ana.key"),
	} {
		if _, err := p.mbp(t, admin, strings.Fields(step)...); err != nil {
			t.Fatal(err)
		}
	}
	bot := exec.Command(command[0], command[1:]...)
	bot.Env = append(os.Environ(), "MBP_KEY_FILE="+filepath.Join(keys, "bot.key"), "MBP_URL="+p.url)
	var said bytes.Buffer
	bot.Stdout, bot.Stderr = &said, &said
	if err := bot.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bot.Process.Kill() })
	ana := key(filepath.Join(keys, "ana.key"))
	first := bothSides(ctx, t, ana, &client.Book{})
	if first.Asks[0].Price != 520_000 || first.Bids[0].Price != 480_000 {
		t.Errorf("it quotes %d and %d", first.Bids[0].Price, first.Asks[0].Price)
	}
	d, err := ana.PlaceOrder(ctx, client.Order{Market: 1, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Shares: 50 * engine.Shares(engine.One)})
	if err != nil {
		t.Fatal(err)
	}
	if fill, err := d.Filled(); err != nil || len(fill.Fills) == 0 {
		t.Errorf("nothing was met in the book: %+v, %v", fill, err)
	}
	second := bothSides(ctx, t, ana, first)
	if second.Bids[0].Price <= first.Bids[0].Price || second.Asks[0].Shares != first.Asks[0].Shares {
		t.Errorf("after a purchase it quotes %+v, before %+v", second, first)
	}
	if err := bot.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := bot.Wait(); err != nil {
		t.Errorf("the bot ended with %v", err)
	}
	if b, err := ana.Book(ctx, 1, engine.Yes, 0); err != nil || len(b.Bids)+len(b.Asks) != 0 {
		t.Errorf("it left %+v, %v", b, err)
	}
	if lines := strings.Count(said.String(), "price "); lines < 2 || lines > 10 {
		t.Errorf("it said %s", said.String())
	}
}

// bothSides waits for a book with one order on each side that is another one than
// before.
func bothSides(ctx context.Context, t *testing.T, cl *client.Client, before *client.Book) *client.Book {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		b, err := cl.Book(ctx, 1, engine.Yes, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Bids) == 1 && len(b.Asks) == 1 && (len(before.Bids) == 0 || b.Bids[0].Price != before.Bids[0].Price) {
			return b
		}
	}
	t.Fatal("the bot does not quote")
	return nil
}
