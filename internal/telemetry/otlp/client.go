package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// firstPause is before a request that may be made again, and longestPause
	// the most that it grows to.
	firstPause   = 500 * time.Millisecond
	longestPause = 5 * time.Second
	// maxAnswer is more than a collector has to say.
	maxAnswer = 64 << 10
)

// client sends requests of one signal.
type client struct {
	signal Signal
	agent  string
	http   *http.Client
}

func newClient(s Signal, version string) (*client, error) {
	c := &client{signal: s, agent: "OTLP-Exporter-Millstream/" + version}
	config, err := tlsConfig(s)
	if err != nil {
		return nil, fmt.Errorf("send %s to %s: %w", s.description, s.URL, err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	transport.MaxIdleConnsPerHost = 1
	c.http = &http.Client{Transport: transport}
	return c, nil
}

func tlsConfig(s Signal) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", s.CAFile)
		}
	}
	if s.CertFile != "" || s.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("the client's certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// refused is an answer other than success. wait is what the collector asks
// for, 0 if it does not say.
type refused struct {
	code int
	said string
	wait time.Duration
}

func (e *refused) Error() string {
	if e.said == "" {
		return "the collector answers " + strconv.Itoa(e.code)
	}
	return fmt.Sprintf("the collector answers %d: %s", e.code, e.said)
}

// again tells whether the specification lets the request be made again.
func (e *refused) again() bool {
	switch e.code {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// send makes one request, and makes it again while that may help and its time
// has not run out.
func (c *client) send(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.signal.Timeout)
	defer cancel()
	if c.signal.Compress {
		body = compressed(body)
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := c.try(ctx, body)
		var no *refused
		if err == nil || ctx.Err() != nil || errors.As(err, &no) && !no.again() {
			return err
		}
		wait := pause/2 + rand.N(pause/2)
		if no != nil {
			wait = max(wait, no.wait)
		}
		deadline, _ := ctx.Deadline()
		if time.Until(deadline) < wait {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

func compressed(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // memory does not fail
	_ = w.Close()
	return b.Bytes()
}

func (c *client) try(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.signal.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", c.agent)
	if c.signal.Compress {
		req.Header.Set("Content-Encoding", "gzip")
	}
	for name, value := range c.signal.Headers {
		req.Header.Set(name, value)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	isProtobuf := strings.HasPrefix(res.Header.Get("Content-Type"), "application/x-protobuf")
	if res.StatusCode/100 != 2 {
		no := &refused{code: res.StatusCode, said: strings.TrimSpace(string(answer))}
		if isProtobuf {
			_, no.said = numberAndText(answer) // google.rpc.Status
		}
		if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
			no.wait = time.Duration(s) * time.Second
		}
		return no
	}
	if isProtobuf {
		return partial(answer)
	}
	return nil
}

// partial tells of what a collector did not take of a request that it took
// otherwise: that is not to be sent again.
func partial(answer []byte) error {
	for len(answer) > 0 {
		field, kind, n := protowire.ConsumeTag(answer)
		if n < 0 || field != 1 || kind != protowire.BytesType {
			return nil
		}
		in, size := protowire.ConsumeBytes(answer[n:])
		if size < 0 {
			return nil
		}
		if rejected, why := numberAndText(in); rejected > 0 {
			return &refused{code: http.StatusOK, said: fmt.Sprintf("%d are not taken: %s", rejected, why)}
		}
		answer = answer[n+size:]
	}
	return nil
}

// numberAndText reads field 1, a number, and field 2, a text.
func numberAndText(b []byte) (number uint64, text string) {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			break
		}
		b = b[n:]
		switch {
		case field == 1 && kind == protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case field == 2 && kind == protowire.BytesType:
			text, n = protowire.ConsumeString(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			break
		}
		b = b[n:]
	}
	return number, text
}
