package explain_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hale/internal/balancer"
	"hale/internal/servertest"
)

// answering is a server that answers by a function of the Host.
func answering(f func(w http.ResponseWriter, r *http.Request)) func(*testing.T, *laboratory) place {
	return func(t *testing.T, _ *laboratory) place {
		where := place{url: "http://" + goServer(t, f, nil) + "/up"}
		where.options.Site = "shop.example"
		return where
	}
}

func says(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// TestCausesOfOtherSoftware is for what Debian does not have: the answers are
// those that the software gives.
func TestCausesOfOtherSoftware(t *testing.T) {
	t.Parallel()
	isSite := func(r *http.Request) bool { return r.Host == "shop.example" }
	var asked, cold atomic.Int64
	for _, c := range []labCase{
		{
			name: "ASP.NET's AllowedHosts", as: "alb kubelet", want: balancer.CauseASPNetHosts, software: "ASP.NET", fix: "AllowedHosts",
			start: answering(func(w http.ResponseWriter, r *http.Request) {
				if !isSite(r) {
					says(w, 400, "<HTML><HEAD><TITLE>Bad Request</TITLE></HEAD><BODY><h2>Bad Request - Invalid Hostname</h2><hr><p>HTTP Error 400. The request hostname is invalid.</p></BODY></HTML>")
				}
			}),
		},
		{
			name: "a guard that says so", as: "alb gcp", want: balancer.CauseHostGuard,
			start: answering(func(w http.ResponseWriter, _ *http.Request) { says(w, 403, "Invalid Host: 127.0.0.1") }),
		},
		{
			name: "a guard that says nothing", as: "alb envoy", want: balancer.CauseHostGuard,
			start: answering(func(w http.ResponseWriter, r *http.Request) {
				if !isSite(r) {
					says(w, 403, "no")
				}
			}),
		},
		{
			name: "Express redirects to https", as: "alb", want: balancer.CauseExpressSSL, software: "Express", fix: `app.get("/up"`,
			start: answering(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Forwarded-Proto") == "https" {
					return
				}
				w.Header().Set("X-Powered-By", "Express")
				w.Header().Set("Location", "https://"+r.Host+r.URL.Path)
				says(w, 301, "Moved Permanently. Redirecting to https://"+r.Host+r.URL.Path)
			}),
		},
		{
			name: "WordPress goes to its siteurl", as: "alb elb traefik", want: balancer.CauseSiteRedirect, software: "WordPress", fix: "location = /up",
			start: answering(func(w http.ResponseWriter, r *http.Request) {
				if !isSite(r) {
					w.Header().Set("X-Redirect-By", "WordPress")
					w.Header().Set("Location", "http://shop.example/up")
					w.WriteHeader(301)
				}
			}),
		},
		{
			name: "a login on another host", as: "alb", want: balancer.CauseLoginRedirect,
			start: answering(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://login.example/authorize?client_id=1", http.StatusFound)
			}),
		},
		{
			name: "no Host helps: there is no such page", as: "alb kubelet", want: balancer.CauseNotFound,
			start: answering(func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }),
		},
		{
			name: "another page of the same site", as: "alb", want: "", fix: "/en/up",
			start: answering(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasPrefix(r.URL.Path, "/en") {
					http.Redirect(w, r, "/en/up", http.StatusFound)
				}
			}),
		},
		{
			// Whatever is changed, every second request gets 200: none of the
			// changes is to blame.
			name: "it comes and goes", as: "alb", want: "",
			start: answering(func(w http.ResponseWriter, _ *http.Request) {
				if asked.Add(1)%2 == 1 {
					w.WriteHeader(404)
				}
			}),
		},
		{
			name: "only the first answer is slow", as: "kubelet", want: balancer.CauseSlow,
			start: answering(func(_ http.ResponseWriter, r *http.Request) {
				if cold.Add(1) == 1 {
					select {
					case <-r.Context().Done():
					case <-time.After(5 * time.Second):
					}
				}
			}),
		},
		{
			name: "the path wants no slash", as: "alb", want: balancer.CauseTrailingSlash, fix: "/up",
			start: func(t *testing.T, lab *laboratory) place {
				where := answering(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/up" {
						http.NotFound(w, r)
					}
				})(t, lab)
				where.url += "/"
				return where
			},
		},
		{
			name: "HTTP/1.0 is refused", as: "hetzner nginx-plus", content: "alb", want: balancer.CauseHTTP2,
			start: answering(func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMinor == 0 {
					w.WriteHeader(http.StatusUpgradeRequired)
				}
			}),
		},
		{
			name: "the name in TLS has to be the Host's", as: "alb", want: balancer.CauseNoSNI,
			start: func(t *testing.T, lab *laboratory) place {
				where := place{url: "https://" + goServer(t, func(w http.ResponseWriter, r *http.Request) {
					if r.TLS.ServerName == "" {
						w.WriteHeader(http.StatusMisdirectedRequest)
					}
				}, goTLS(t, lab.certs, nil)) + "/"}
				where.options.Site = "shop.example"
				return where
			},
		},
		{
			name: "the name in TLS has to be one that nobody knows", as: "alb nlb", want: balancer.CauseNoSNI, asks: "--site NAME",
			start: func(t *testing.T, lab *laboratory) place {
				return place{url: "https://" + goServer(t, misdirecting, goTLS(t, lab.certs, nil)) + "/"}
			},
		},
		{
			name: "421 without TLS", as: "alb kubelet", want: balancer.CauseHostGuard, asks: "--site NAME",
			start: func(t *testing.T, _ *laboratory) place {
				return place{url: "http://" + goServer(t, misdirecting, nil) + "/"}
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lab := &laboratory{}
			if strings.Contains(c.name, "TLS") {
				lab = certsOnly(t)
			}
			for _, name := range strings.Fields(c.as) {
				asked.Store(0)
				result := play(t, name, c.start(t, lab))
				if complaint := misnamed(c, result); complaint != "" {
					t.Errorf("as %s: %s\n%s", name, complaint, story(result))
				}
			}
			for _, name := range strings.Fields(c.content) {
				if result := play(t, name, c.start(t, lab)); !result.OK {
					t.Errorf("as %s: it is content with this, and the report is\n%s", name, story(result))
				}
			}
		})
	}
}

func misdirecting(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusMisdirectedRequest)
}

// certsOnly is a laboratory with nothing but certificates.
func certsOnly(t *testing.T) *laboratory {
	return &laboratory{certs: servertest.NewCerts(t, time.Hour, "127.0.0.1", "shop.example")}
}
