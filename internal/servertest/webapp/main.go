// Command webapp is the web server in the containers of tests. It listens on
// the port that its argument or the variable PORT says, else 80, and answers
// every request with the status in the variable STATUS, else 200. A request for
// /set/CODE changes that, and one for /crash ends it with exit code 2.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

func main() {
	port, status := "80", atomic.Int64{}
	if p := os.Getenv("PORT"); p != "" {
		port = p
	}
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	status.Store(http.StatusOK)
	if code, err := strconv.Atoi(os.Getenv("STATUS")); err == nil {
		status.Store(int64(code))
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/crash" {
			go panic("it was asked to")
		}
		if code, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/set/")); err == nil {
			status.Store(int64(code))
			fmt.Fprintln(w, "from now on", code)
			return
		}
		w.WriteHeader(int(status.Load()))
		fmt.Fprintln(w, "host", r.Host, "path", r.URL.Path)
	}
	if err := http.ListenAndServe(":"+port, http.HandlerFunc(answer)); err != nil {
		panic(err)
	}
}
