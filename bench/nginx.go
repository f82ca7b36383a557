package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// An nginx answers 200 to everything. It is one process, which does the work of
// the one worker that it would have.
type nginx struct {
	*process
	ports []int
}

// startNginx starts an nginx that listens on so many ports. A connection is
// known by its two ports and addresses, so several ports of the server keep
// thousands of short connections a second from running out of those of the
// client.
func (b *bench) startNginx(ctx context.Context, listeners int) (*nginx, error) {
	path, err := program("nginx", "nginx-light")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "nginx-")
	if err != nil {
		return nil, err
	}
	n := &nginx{}
	var listen strings.Builder
	for range listeners {
		port, err := b.ports.free()
		if err != nil {
			return nil, err
		}
		n.ports = append(n.ports, port)
		fmt.Fprintf(&listen, "listen %s backlog=4096; ", local(port))
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := strings.NewReplacer("$DIR", dir, "$LISTEN", listen.String()).Replace(nginxConf)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	n.process, err = b.start("nginx", path, "-p", dir, "-e", "stderr", "-c", conf)
	if err != nil {
		return nil, err
	}
	for _, port := range n.ports {
		if err := accepting(ctx, n.process, port); err != nil {
			n.stop()
			return nil, err
		}
	}
	return n, nil
}

const nginxConf = `
daemon off;
master_process off;
pid $DIR/nginx.pid;
error_log stderr;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path $DIR/body;
  proxy_temp_path $DIR/proxy;
  fastcgi_temp_path $DIR/fastcgi;
  uwsgi_temp_path $DIR/uwsgi;
  scgi_temp_path $DIR/scgi;
  server { $LISTEN return 200; }
}
`

// urls returns so many URLs with paths of their own, spread over the ports.
func (n *nginx) urls(count int) []string {
	urls := make([]string, count)
	for i := range urls {
		urls[i] = fmt.Sprintf("http://%s/%05d", local(n.ports[i%len(n.ports)]), i)
	}
	return urls
}
