package local

import (
	"fmt"
	"net"
	"strconv"
	"time"
)

const (
	// portTries is how many ports from the wanted one on are tried: enough
	// for many stacks on one machine, few enough to fail soon.
	portTries = 100
	// portDialTimeout bounds the question whether somebody answers on a
	// port. Loopback answers or refuses at once.
	portDialTimeout = 200 * time.Millisecond
	maxPort         = 65535
)

// listen opens the first free port from wanted on, at host. A wanted port of
// 0 takes any.
func listen(host string, wanted int) (net.Listener, error) {
	if wanted == 0 {
		return net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	var first error
	for port := wanted; port < wanted+portTries && port <= maxPort; port++ {
		if answered(port) {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return l, nil
		}
		if first == nil {
			first = err
		}
	}
	if first != nil {
		return nil, fmt.Errorf("no free port from %d on at %q: %w", wanted, host, first)
	}
	return nil, fmt.Errorf("no free port among the %d from %d on: each is answered by another program", portTries, wanted)
}

// freePort finds the first free loopback port from wanted on. The port can
// be taken by somebody else before it is used: its user tries the next then.
func freePort(wanted int) (int, error) {
	l, err := listen("127.0.0.1", wanted)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// answered tells whether somebody serves a port on loopback. Listening alone
// does not tell: on some systems 127.0.0.1 can be bound beside 0.0.0.0, and a
// server on ::1 would get the clients that say "localhost".
func answered(port int) bool {
	for _, host := range []string{"127.0.0.1", "::1"} {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(port)), portDialTimeout)
		if err == nil {
			c.Close()
			return true
		}
	}
	return false
}
