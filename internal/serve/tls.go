package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateAge is how often the files of a certificate are looked at.
const certificateAge = time.Second

// certificate is a certificate and its key in files. They are read again when
// they have changed; what can't be read leaves the last one in place, since
// the two files are seldom replaced at the same instant.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	looked  time.Time
	changed [2]fileState // of what pair was read from, or failed to be
}

// fileState tells a file from its replacement, also where a link now names
// another.
type fileState struct {
	at   time.Time
	size int64
}

// openCertificate reads a certificate; nil where none is named.
func openCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	if certFile == "" && keyFile == "" {
		return nil, nil
	}
	if certFile == "" || keyFile == "" {
		return nil, errors.New("TLS needs a certificate and its key: set both MILLSTREAM_TLS_CERT_FILE and MILLSTREAM_TLS_KEY_FILE")
	}
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, looked: time.Now()}
	var err error
	if c.changed, err = c.stat(); err != nil {
		return nil, fmt.Errorf("read the TLS certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the TLS certificate: %w", err)
	}
	c.pair = &pair
	return c, nil
}

func (c *certificate) stat() (state [2]fileState, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return state, err
		}
		state[i] = fileState{info.ModTime(), info.Size()}
	}
	return state, nil
}

// config is what a listener needs.
func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}

// get gives the certificate for a handshake.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certificateAge {
		c.looked = now
		c.reload()
	}
	return c.pair, nil
}

// reload reads the files again if they have changed. mu is held.
func (c *certificate) reload() {
	state, err := c.stat()
	if err == nil && state == c.changed {
		return
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile)
	}
	if err != nil {
		if state != c.changed { // it is told once
			c.log.Warn("the new TLS certificate can't be read: the last one is kept", "error", err)
		}
		c.changed = state
		return
	}
	c.pair, c.changed = &pair, state
	c.log.Info("TLS certificate read again", "file", c.certFile)
}
