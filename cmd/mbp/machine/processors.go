package machine

import (
	"os"
	"runtime"
	"sync"
)

// Processors lets the process run Go on one thread more than the machine lends it
// processors, once, and returns how many they are. The writer's thread is nearly
// always in a sync of the journal, which the runtime notices late (it takes a
// processor back from a system call after 20 µs to 10 ms): of two processors one
// would often have nothing to do. Who sets GOMAXPROCS decides it.
var Processors = sync.OnceValue(func() int {
	n := processors(os.Getenv("GOMAXPROCS"), runtime.GOMAXPROCS(0))
	runtime.GOMAXPROCS(n)
	return n
})

func processors(chosen string, lent int) int {
	if chosen != "" {
		return lent
	}
	return lent + 1
}
