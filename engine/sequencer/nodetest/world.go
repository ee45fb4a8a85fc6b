package nodetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// site is what outlives a node: its disk, or a log that several nodes share.
type site interface {
	// open gives machine n the log of a new life, whose operations wait at g, and
	// the disk if it has one of its own.
	open(n int, g *gate) (journal.Log, file.FS, error)
	// cut takes machine n down: nothing that it has under way tells it of success.
	cut(n int)
	// revive lets machine n start again and says what survived.
	revive(n int) string
	// disturb arranges one fault for machine n and says which.
	disturb(n int) string
	// heal ends the faults that were arranged.
	heal()
	// read calls fn with the durable records in order.
	read(fn func(journal.Record) error) error
	// injected reports whether the schedule is to blame for an error.
	injected(err error) bool
	// actions lists what only this kind of site does.
	actions() []action
	// inspect checks what only this kind of site promises.
	inspect() error
}

// action is something that the schedule may do next. do says what was done.
type action struct {
	name   string
	weight int
	ready  func() bool
	do     func() string
}

// life is a node from its start to its end.
type life struct {
	node   Node
	log    journal.Log // as the site gave it
	gate   *gate
	end    context.CancelFunc
	done   chan error // what Run returned
	dead   bool       // it was killed: nobody hears what it says
	follow *follower
}

// machine is where lives follow each other.
type machine struct {
	n      int
	life   *life        // nil: down
	skew   atomic.Int64 // ns that its wall clock is off
	paused bool         // stopped in the middle of whatever it does
}

// world is one run.
type world struct {
	cfg      Config
	rng      *rand.Rand
	site     site
	machines []*machine
	report   *Report
	*crowd
	audit    *auditor
	queue    int
	maxBatch int
	all      []action
}

func newWorld(cfg Config) *world {
	rng := rand.New(rand.NewPCG(cfg.Seed, 0x6d6270)) //nolint:gosec // reproducible, not secret
	w := &world{cfg: cfg, rng: rng, report: &Report{Seed: cfg.Seed}, audit: newAuditor()}
	w.crowd = newCrowd(w)
	w.queue, w.maxBatch = 1+rng.IntN(12), among(rng, 1, 2, 4, 8)
	nodes := 1
	if cfg.Leased {
		nodes = 2
		w.site = newLease(w)
	} else {
		w.site = newPlate(w)
	}
	for n := range nodes {
		w.machines = append(w.machines, &machine{n: n})
	}
	w.all = append(w.actions(), w.site.actions()...)
	for i := range w.all { // runs differ in what they are full of
		w.all[i].weight *= among(rng, 1, 2, 2, 4)
	}
	return w
}

func among[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

func (w *world) tell(format string, args ...any) {
	at := time.Since(epoch).Truncate(time.Microsecond)
	w.report.Trace = append(w.report.Trace, fmt.Sprintf("%4d %-12s ", len(w.report.Trace), at)+fmt.Sprintf(format, args...))
}

// epoch is when a bubble's clock starts.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// fault notes a broken promise; nil is none.
func (w *world) fault(err error) {
	if err != nil {
		w.report.Faults = append(w.report.Faults, err)
	}
}

func (w *world) broken() bool { return len(w.report.Faults) > 0 }

func (w *world) run() {
	for step := 0; step < w.cfg.Steps && !w.broken(); step++ {
		w.act()
		w.rest()
	}
	if !w.broken() {
		w.finish()
	}
	for _, m := range w.machines {
		if m.life != nil {
			w.kill(m)
		}
	}
	w.rest()
	w.report.Held = w.audit.held
	w.report.Decisions, w.report.Own = len(w.audit.digests), len(w.audit.digests)-len(w.audit.keys)
}

// rest waits until every node waits, and takes what they said.
func (w *world) rest() {
	synctest.Wait()
	w.collect()
	for _, m := range w.machines {
		if m.life != nil {
			w.reap(m)
		}
		if m.life != nil && !m.life.gate.held() {
			w.fault(w.waits(m.life))
		}
	}
	w.fault(w.doubt(w.machines))
}

// act does one thing of those that can be done now.
func (w *world) act() {
	sum := 0
	for _, a := range w.all {
		if a.ready() {
			sum += a.weight
		}
	}
	pick := w.rng.IntN(sum)
	for _, a := range w.all {
		if !a.ready() {
			continue
		}
		if pick -= a.weight; pick < 0 {
			w.tell("%s %s", a.name, a.do())
			return
		}
	}
}

// choose returns one of the machines that a test is true of, nil if of none.
func (w *world) choose(test func(*machine) bool) *machine {
	var all []*machine
	for _, m := range w.machines {
		if test(m) {
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[w.rng.IntN(len(all))]
}

func (w *world) some(test func(*machine) bool) func() bool {
	return func() bool {
		for _, m := range w.machines {
			if test(m) {
				return true
			}
		}
		return false
	}
}

func down(m *machine) bool  { return m.life == nil }
func up(m *machine) bool    { return m.life != nil }
func awake(m *machine) bool { return m.life != nil && !m.paused }
func held(m *machine) bool  { return awake(m) && m.life.gate.held() }

// on is an action on one of the machines that a test is true of.
func (w *world) on(name string, weight int, test func(*machine) bool, do func(*machine) string) action {
	return action{name, weight, w.some(test), func() string {
		m := w.choose(test)
		return fmt.Sprintf("%d %s", m.n, do(m))
	}}
}

func (w *world) actions() []action {
	always := func() bool { return true }
	return append(w.asking(),
		action{"time", 12, always, w.wait},
		w.on("next", 120, held, w.next),
		w.on("start", 30, down, w.start),
		w.on("kill", 1, up, func(m *machine) string { w.kill(m); w.report.Crashes++; return "" }),
		w.on("stop", 1, awake, w.stop),
		w.on("disturb", 2, up, func(m *machine) string { return w.site.disturb(m.n) }),
		w.on("clock", 1, up, w.jump),
	)
}

// next lets a node do one thing.
func (w *world) next(m *machine) string {
	if m.life.gate.next(w.rng.IntN) {
		w.report.Beside++
	}
	return ""
}

func (w *world) wait() string {
	d := among(w.rng, time.Millisecond, 20*time.Millisecond, time.Second, 5*time.Second, 20*time.Second, 90*time.Second)
	time.Sleep(d)
	return d.String()
}

// jump sets a wall clock; the monotonic one goes on. Forward jumps stay far below the day for which keys are
// remembered.
func (w *world) jump(m *machine) string {
	d := among(w.rng, -time.Hour, -time.Second, -time.Millisecond, time.Second, 10*time.Minute)
	if m.skew.Add(int64(d)) > int64(2*time.Hour) {
		m.skew.Store(0)
	}
	return time.Duration(m.skew.Load()).String()
}

// start begins a life, which may fail like anything else.
func (w *world) start(m *machine) string {
	said := w.site.revive(m.n)
	if w.rng.IntN(4) == 0 {
		said += ", " + w.site.disturb(m.n)
	}
	if err := w.begin(m); err != nil {
		if !w.site.injected(err) {
			w.fault(fmt.Errorf("start node %d: %w", m.n, err))
		}
		return fmt.Sprintf("%s: %v", said, err)
	}
	return said
}

func (w *world) begin(m *machine) error {
	l := &life{gate: &gate{}, done: make(chan error, 1)}
	log, disk, err := w.site.open(m.n, l.gate)
	if err != nil {
		return err
	}
	l.log = log
	if w.cfg.Log != nil {
		log = w.cfg.Log(log)
	}
	mono := func() time.Duration { return time.Since(epoch) }
	now := func() time.Time { return time.Now().Add(time.Duration(m.skew.Load())) }
	l.node, err = w.cfg.Start(Place{Disk: disk, Config: sequencer.Config{Log: log, Now: now, Mono: mono, Queue: w.queue, MaxBatch: w.maxBatch}})
	if err != nil {
		return errors.Join(err, log.Close())
	}
	w.report.Lives++
	m.life = l
	l.gate.hold()
	ctx, cancel := context.WithCancel(context.Background())
	l.end = cancel
	l.follow = follow(ctx, l.node)
	w.inspect()
	go func() { l.done <- l.node.Run(ctx) }()
	w.look(m)
	return nil
}

// kill takes a machine down.
func (w *world) kill(m *machine) {
	l := m.life
	l.dead, m.life, m.paused = true, nil, false
	w.site.cut(m.n)
	l.gate.open()
	l.end()
	_, _ = <-l.done, l.log.Close()
	w.following = append(w.following, l.follow)
}

// stop ends a node in good order, if its log lets it.
func (w *world) stop(m *machine) string {
	m.life.gate.open()
	m.life.end()
	synctest.Wait()
	w.collect()
	w.reap(m)
	return ""
}

// reap buries a node whose writer has ended.
func (w *world) reap(m *machine) {
	l := m.life
	select {
	case err := <-l.done:
		l.end()
		m.life, m.paused = nil, false
		if err != nil {
			w.report.Failures++
			w.tell("node %d has stopped: %v", m.n, err)
			if !w.site.injected(err) {
				w.fault(fmt.Errorf("node %d has stopped: %w", m.n, err))
			}
		}
		if err := l.log.Close(); err != nil && !w.site.injected(err) {
			w.fault(fmt.Errorf("close the log of node %d: %w", m.n, err))
		}
		w.following = append(w.following, l.follow)
	default:
	}
}

// inspect holds everything that was told against the log.
func (w *world) inspect() {
	if err := w.audit.read(w.site.read); err != nil {
		w.fault(err)
		return
	}
	w.fault(w.site.inspect())
	w.fault(w.judge(w.audit))
}

// finish ends the faults, has every request answered, and looks at everything.
func (w *world) finish() {
	w.site.heal()
	for _, m := range w.machines {
		if m.life != nil {
			w.kill(m)
		}
	}
	w.rest()
	m := w.machines[w.rng.IntN(len(w.machines))]
	time.Sleep(leaseTime) // whoever held it, it is free
	w.tell("end: start %d %s", m.n, w.site.revive(m.n))
	if err := w.begin(m); err != nil {
		w.fault(fmt.Errorf("start after all faults: %w", err))
		return
	}
	m.life.gate.open()
	for _, a := range w.asks {
		w.send(m.life, a, false)
		w.rest()
		if w.broken() {
			return
		}
		if !a.answered {
			w.fault(fmt.Errorf("%s gets no answer after all faults", a.name()))
			return
		}
	}
	w.send(m.life, w.want("ops", &engine.SetDeadlines{Reason: "the faults are over"}), false)
	time.Sleep(time.Hour) // what is due is done
	w.rest()
	if m.life == nil {
		w.fault(errors.New("the node has ended after all faults"))
		return
	}
	now := m.life.node.Now()
	m.life.node.View(func(s *core.State) {
		if c := s.Due(now); c != nil || s.DeadlinesHeld() {
			w.fault(fmt.Errorf("STUCK: an hour after all faults %+v is due, and deadlines are held: %t", c, s.DeadlinesHeld()))
		}
	})
	w.close(m)
}

// close ends the last node, loses power, and looks again.
func (w *world) close(m *machine) {
	m.life.node.View(func(s *core.State) { w.fault(s.Check()) })
	w.look(m)
	w.stop(m)
	if m.life != nil {
		w.fault(errors.New("the node does not end when asked"))
		return
	}
	w.tell("end: again %d %s", m.n, w.site.revive(m.n))
	time.Sleep(leaseTime)
	if err := w.begin(m); err != nil {
		w.fault(fmt.Errorf("start after the end: %w", err))
		return
	}
	if keyed := len(w.audit.keys); keyed != len(w.asks) && !w.broken() {
		w.fault(fmt.Errorf("%d requests are decided, %d were asked", keyed, len(w.asks)))
	}
	w.fault(w.audit.state.Check())
}

// look reads a node as a reader would, and notes what it showed.
func (w *world) look(m *machine) {
	var seen sight
	m.life.node.View(func(s *core.State) { seen = sight{s.Seq(), s.HashShown()} })
	w.report.Looks++
	w.looks = append(w.looks, seen)
	if last := engine.Seq(m.life.log.Next()) - 1; seen.seq > last {
		w.fault(fmt.Errorf("node %d shows decision %d, the log ends at %d", m.n, seen.seq, last))
	}
	if !w.cfg.Leased && seen.seq < w.told {
		w.fault(fmt.Errorf("node %d shows decision %d, %d was answered", m.n, seen.seq, w.told))
	}
}
