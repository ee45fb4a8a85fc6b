package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// polite is the nice value of the load, far from the usual 0 and from the last one, 19.
const polite = 10

// usual takes what is to be done at the priority that this process was begun with, once it
// has given way.
var usual atomic.Pointer[chan func()]

// giveWay lets all threads of this process, and those that they make, give way to others:
// the processors that a load takes are those of other machines in earnest, and not the
// server's. Priorities are of threads on Linux, sched(7), and nobody
// but root takes one back; so one thread keeps the usual one, and begins the servers.
var giveWay = sync.OnceValue(func() error {
	kept, do := make(chan int), make(chan func())
	go func() {
		runtime.LockOSThread() // for ever: the runtime makes no thread from it
		kept <- unix.Gettid()
		for fn := range do {
			fn()
		}
	}()
	keeps := <-kept
	usual.Store(&do)
	for changed := true; changed; { // a thread that is made meanwhile may have the priority of before
		changed = false
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, d := range threads {
			id, err := strconv.Atoi(d.Name())
			if err != nil || id == keeps {
				continue
			}
			now, err := unix.Getpriority(unix.PRIO_PROCESS, id)
			if err == nil && now > 20-polite { // the system call counts from 40 to 1
				err = unix.Setpriority(unix.PRIO_PROCESS, id, polite)
				changed = true
			}
			if err != nil && err != unix.ESRCH { //nolint:errorlint // an errno; a thread may end meanwhile
				return fmt.Errorf("give way to the server: %w", err)
			}
		}
	}
	return nil
})

// atUsual calls fn at the priority of before giveWay.
func atUsual(fn func() error) error {
	do := usual.Load()
	if do == nil {
		return fn()
	}
	done := make(chan error)
	*do <- func() { done <- fn() }
	return <-done
}
