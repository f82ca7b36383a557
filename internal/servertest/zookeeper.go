package servertest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const zookeeperJar = "/usr/share/java/zookeeper.jar"

// ZooKeeper starts a single ZooKeeper server with further lines of
// configuration.
func ZooKeeper(tb testing.TB, conf ...string) *Server {
	tb.Helper()
	return launch(tb, tb.TempDir(), zookeeperRecipe(tb, conf))
}

// ZooKeeperEnsemble makes an ensemble of ZooKeeper servers, of which the first
// so many are started and the others can be, with [Server.Start].
func ZooKeeperEnsemble(tb testing.TB, size, started int, conf ...string) []*Server {
	tb.Helper()
	conf = append([]string{"initLimit=50", "syncLimit=20"}, conf...)
	for i := range size {
		conf = append(conf, fmt.Sprintf("server.%d=127.0.0.1:%d:%d", i+1, FreePort(tb), FreePort(tb)))
	}
	servers := make([]*Server, size)
	for i := range servers {
		dir := tb.TempDir()
		writeFile(tb, filepath.Join(dir, "myid"), []byte(strconv.Itoa(i+1)))
		servers[i] = prepare(tb, dir, zookeeperRecipe(tb, conf))
		if i < started {
			servers[i].Start()
		}
	}
	return servers
}

func zookeeperRecipe(tb testing.TB, conf []string) recipe {
	tb.Helper()
	java := Program(tb, "java", "default-jre-headless")
	if _, err := os.Stat(zookeeperJar); err != nil {
		tb.Fatalf("%v, and this test needs it: apt-get install zookeeper", err)
	}
	file := func(s *Server) string { return filepath.Join(s.Dir, "zoo.cfg") }
	return recipe{
		name: "zookeeper",
		configure: func(s *Server) error {
			lines := append([]string{
				"tickTime=200", "dataDir=" + s.Dir, "clientPortAddress=" + s.Host, "clientPort=" + strconv.Itoa(s.Port),
				"admin.enableServer=false",
			}, conf...)
			return os.WriteFile(file(s), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
		},
		command: func(s *Server) *exec.Cmd {
			return exec.Command(java, "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
				"-Dzookeeper.jmx.log4j.disable=true", "-cp", zookeeperJar+":/usr/share/java/slf4j-simple.jar",
				"org.apache.zookeeper.server.quorum.QuorumPeerMain", file(s))
		},
		ready: answersSrvr,
		stop:  syscall.SIGTERM,
	}
}

// answersSrvr asks a server with a four-letter word. That it accepts a
// connection is not enough: one that comes very early may never be answered.
func answersSrvr(s *Server) error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("srvr")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}
