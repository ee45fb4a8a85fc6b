package main

import (
	"os/exec"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestGivesWay: the threads of a load give way, those that come later as well; a server
// does not.
func TestGivesWay(t *testing.T) {
	nice := func(id int) int {
		n, err := unix.Getpriority(unix.PRIO_PROCESS, id)
		if err != nil {
			t.Error(err)
		}
		return 20 - n
	}
	if err := giveWay(); err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), "sleep", "60")
	usual := 0
	if err := atUsual(func() error { usual = nice(0); return server.Start() }); err != nil {
		t.Fatal(err)
	}
	if got := nice(server.Process.Pid); got != usual {
		t.Errorf("a server has the nice value %d, want %d", got, usual)
	}
	var wg sync.WaitGroup
	begun := make(chan struct{})
	for i := range 8 {
		wg.Go(func() {
			runtime.LockOSThread() // each is on a thread of its own, and ends it
			if i == 7 {
				close(begun)
			}
			<-begun
			if got := nice(0); got < polite {
				t.Errorf("a thread of the load has the nice value %d", got)
			}
		})
	}
	wg.Wait()
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // it was killed
}
