package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// polite is the nice value of the load, far from the usual 0 and from the last one, 19.
const polite = 10

// usual has what is to be done at the priority that this process was begun with.
var usual = make(chan func())

// giveWay lets all threads of this process, and those that they make, give way to others:
// the processors that a load and its subscribers take are those of other machines in
// earnest, and not the server's. Priorities are of threads on Linux, sched(7), and nobody
// but root takes one back; so one thread keeps the usual one, and begins the servers.
var giveWay = sync.OnceValue(func() error {
	kept := make(chan int)
	go func() {
		runtime.LockOSThread() // for ever: the runtime makes no thread from it
		kept <- unix.Gettid()
		for fn := range usual {
			fn()
		}
	}()
	keeps := <-kept
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

// atUsual gives way, and calls fn at the priority of before.
func atUsual(fn func() error) error {
	if err := giveWay(); err != nil {
		return err
	}
	done := make(chan error)
	usual <- func() { done <- fn() }
	return <-done
}
