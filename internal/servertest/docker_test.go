package servertest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"hale/internal/servertest"
)

// The web server's container can be reached at its address and at a published
// port, of an engine of the test's own too, and does what it is told.
func TestDockerWeb(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *servertest.DockerEngine{
		"shared": servertest.Docker,
		"own":    func(tb testing.TB) *servertest.DockerEngine { return servertest.OwnDocker(tb) },
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t)
			web := d.Run("-p", "127.0.0.1::80", d.Web())
			client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
			get := func(url string, want int) {
				t.Helper()
				servertest.Wait(t, url, func() error {
					answer, err := client.Get(url)
					if err != nil {
						return err
					}
					defer answer.Body.Close()
					if answer.StatusCode != want {
						return errors.New(answer.Status)
					}
					return nil
				})
			}
			address := "http://" + d.IP(web)
			get(address, http.StatusOK)
			get("http://"+strings.TrimSpace(d.Docker("port", web, "80/tcp")), http.StatusOK)
			get(address+"/set/503", http.StatusOK)
			get(address, http.StatusServiceUnavailable)
			if answer, err := client.Get(address + "/crash"); err == nil {
				_ = answer.Body.Close()
			}
			servertest.Wait(t, "the end", func() error {
				if got := d.Inspect(web, "{{.State.Status}} {{.State.ExitCode}}"); got != "exited 2" {
					return errors.New(got)
				}
				return nil
			})
		})
	}
}
