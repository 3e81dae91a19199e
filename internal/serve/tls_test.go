package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate makes a certificate for loopback and writes both files.
func writeCertificate(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// TestTLS serves over TLS, renews the certificate, and breaks it.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writeCertificate(t, dir, 1)
	f := start(t, database(t, "CREATE TABLE a (x integer)"), func(c *Config) { c.CertFile, c.CertKeyFile = certFile, keyFile })
	ask := func() *http.Response {
		t.Helper()
		pool := x509.NewCertPool()
		text, err := os.ReadFile(certFile)
		if err != nil {
			t.Fatal(err)
		}
		pool.AppendCertsFromPEM(text)
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
		resp, err := c.Get("https://" + f.Addr() + "/v1/tables/a")
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "[]\n" {
			t.Errorf("%d %s %v", resp.StatusCode, body, err)
		}
		resp.Body.Close()
		return resp
	}
	serial := func(r *http.Response) int64 { return r.TLS.PeerCertificates[0].SerialNumber.Int64() }
	first := ask()
	if serial(first) != 1 || first.ProtoMajor != 2 || first.Header.Get("Strict-Transport-Security") == "" || !f.TLS() {
		t.Errorf("certificate %d, HTTP/%d, %v", serial(first), first.ProtoMajor, first.Header)
	}
	// look makes the next handshake look at the files, as it does after a
	// second by itself, and find that they have changed.
	look := func() {
		f.cert.mu.Lock()
		defer f.cert.mu.Unlock()
		f.cert.looked, f.cert.changed = time.Time{}, [2]fileState{}
	}
	writeCertificate(t, dir, 2)
	look()
	if got := serial(ask()); got != 2 {
		t.Errorf("after the renewal: certificate %d", got)
	}
	good, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "nonsense"} {
		if err := os.WriteFile(certFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		look()
		f.cert.mu.Lock()
		f.cert.reload()
		f.cert.mu.Unlock()
	}
	if err := os.WriteFile(certFile, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(ask()); got != 2 {
		t.Errorf("after a broken file: certificate %d", got)
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11} //nolint:gosec // it must be refused
	if c, err := tls.Dial("tcp", f.Addr(), old); err == nil {
		c.Close()
		t.Error("TLS 1.1 is spoken")
	}
	resp, err := http.Get("http://" + f.Addr() + "/v1/tables/a")
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %d", resp.StatusCode)
	}
	resp.Body.Close()
}

// TestBadCertificate holds that a server which can't speak TLS says so at the
// start.
func TestBadCertificate(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writeCertificate(t, dir, 1)
	pool := database(t)
	for _, tt := range []struct{ cert, key, want string }{
		{certFile, "", "set both"},
		{"", keyFile, "set both"},
		{certFile, "/no/such/file", "/no/such/file"},
		{keyFile, certFile, "TLS certificate"},
	} {
		_, err := New(Config{Addr: "127.0.0.1:0", Pool: pool, CertFile: tt.cert, CertKeyFile: tt.key})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %s: %v", tt.cert, tt.key, err)
		}
	}
}
