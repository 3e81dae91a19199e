package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

// The listeners of the secured broker. Everybody on PLAINTEXT may do
// everything: it is the tests' own.
const securedSettings = `
listeners=PLAINTEXT://@PLAIN@,CONTROLLER://@CONTROLLER@,SASL://%[1]s,SASLTLS://%[2]s,TLS://%[3]s
advertised.listeners=PLAINTEXT://@PLAIN@,SASL://%[1]s,SASLTLS://%[2]s,TLS://%[3]s
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,SASLTLS:SASL_SSL,TLS:SSL
inter.broker.listener.name=PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location=%[4]s
ssl.truststore.type=PEM
ssl.truststore.location=%[5]s
listener.name.tls.ssl.client.auth=required
`

const (
	reader   = "alice" // has the rights that a pipeline needs
	stranger = "bob"   // has none
)

func secret(user string) string { return user + "-Kn0ck" }

// TestSecured reads through SASL PLAIN and SCRAM, over TLS and with a client's
// certificate, and is told plainly when it may not.
func TestSecured(t *testing.T) {
	keys := newAuthority(t)
	ports := freePorts(t, 3)
	settings := fmt.Sprintf(securedSettings, ports[0], ports[1], ports[2], keys.pair("broker"), keys.ca)
	var users string
	format := []string{}
	for _, user := range []string{reader, stranger} {
		users += fmt.Sprintf(" user_%s=%q", user, secret(user))
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			format = append(format, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, user, secret(user)))
		}
	}
	for _, listener := range []string{"sasl", "sasltls"} {
		settings += fmt.Sprintf("listener.name.%s.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required%s;\n", listener, users)
		for _, mechanism := range []string{"scram-sha-256", "scram-sha-512"} {
			settings += fmt.Sprintf("listener.name.%s.%s.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n", listener, mechanism)
		}
	}
	c := kraft(t, 1, format, func(int) string { return settings })
	log := line.Shop(11, 60)
	line.Fill(t, c.addr, log)
	c.permit(t, "User:"+reader, "User:CN="+reader)
	file := filepath.Join(t.TempDir(), name+".sql")
	if err := os.WriteFile(file, []byte(line.ShopSQL), 0o600); err != nil {
		t.Fatal(err)
	}

	sasl := func(mechanism, user, password string) []string {
		return []string{"KAFKA_SASL_MECHANISM=" + mechanism, "KAFKA_SASL_USERNAME=" + user, "KAFKA_SASL_PASSWORD=" + password}
	}
	tls := []string{"KAFKA_TLS_ENABLED=true", "KAFKA_TLS_CA_FILE=" + keys.ca}
	certificate := func(user string) []string {
		cert, key := keys.files(user)
		return append([]string{"KAFKA_TLS_CERT_FILE=" + cert, "KAFKA_TLS_KEY_FILE=" + key}, tls...)
	}
	for _, w := range []struct {
		name, addr string
		env        []string
		code       int
		said       []string
	}{
		{"PLAIN", ports[0], sasl("PLAIN", reader, secret(reader)), 0, nil},
		{"SCRAM-SHA-256", ports[0], sasl("SCRAM-SHA-256", reader, secret(reader)), 0, nil},
		{"SCRAM-SHA-512 over TLS", ports[1], append(sasl("SCRAM-SHA-512", reader, secret(reader)), tls...), 0, nil},
		{"PLAIN over TLS", ports[1], append(sasl("PLAIN", reader, secret(reader)), tls...), 0, nil},
		{"client certificate", ports[2], certificate(reader), 0, nil},
		{"wrong password", ports[0], sasl("SCRAM-SHA-256", reader, "wrong"), 3, []string{"SASL_AUTHENTICATION_FAILED", "check user and password"}},
		{"no rights", ports[0], sasl("PLAIN", stranger, secret(stranger)), 1, []string{"TOPIC_AUTHORIZATION_FAILED", "orders", "lacks a right"}},
		{"certificate without rights", ports[2], certificate(stranger), 1, []string{"TOPIC_AUTHORIZATION_FAILED", "orders", "lacks a right"}},
		{"no client certificate", ports[2], tls, 3, []string{"certificate"}},
		{"unknown authority", ports[1], append(sasl("PLAIN", reader, secret(reader)), "KAFKA_TLS_ENABLED=true"), 3, []string{"certificate signed by unknown authority"}},
	} {
		t.Run(w.name, func(t *testing.T) {
			url := pgtest.Database(t)
			r := line.Run(t, w.env, "run", file, "--until-end", "--brokers", w.addr, "--database-url", url, "--name", name,
				"--commit-interval", "1ms", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--quiet")
			if strings.Contains(r.Stdout+r.Stderr, secret(reader)) || strings.Contains(r.Stdout+r.Stderr, secret(stranger)) {
				t.Errorf("the password is printed: %s", r)
			}
			if r.Code != w.code {
				t.Fatalf("exit code %d, want %d: %s", r.Code, w.code, r)
			}
			if w.code == 0 {
				oracle.Check(t, oracle.Options{SQL: line.ShopSQL, Pipeline: name, DatabaseURL: url, Brokers: map[string][]string{"kafka": {c.addr}}})
				return
			}
			for _, text := range w.said {
				if !strings.Contains(r.Stderr, text) {
					t.Errorf("%q is not said: %s", text, r)
				}
			}
		})
	}
}

// permit lets users read the topics, and nothing else.
func (s *cluster) permit(t *testing.T, users ...string) {
	t.Helper()
	client, err := line.Client(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	acls := kadm.NewACLs().Topics("orders", "clicks").ResourcePatternType(kadm.ACLPatternLiteral).
		Operations(kadm.OpRead, kadm.OpDescribe).Allow(users...).AllowHosts("*")
	made, err := kadm.NewClient(client).CreateACLs(t.Context(), acls)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range made {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	ca   string // its certificate's file
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), next: 1}
	a.ca = filepath.Join(a.dir, "ca.pem")
	template := a.template("the tests' authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a.key = a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write(a.ca, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func (a *authority) template(name string) *x509.Certificate {
	a.next++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

// sign makes a key and a certificate for a name.
func (a *authority) sign(name string) (key, cert *pem.Block) {
	a.t.Helper()
	template := a.template(name)
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	own := a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &own.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		a.t.Fatal(err)
	}
	return &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs}, &pem.Block{Type: "CERTIFICATE", Bytes: der}
}

// pair is one file with both, as Java reads it.
func (a *authority) pair(name string) string {
	a.t.Helper()
	key, cert := a.sign(name)
	path := filepath.Join(a.dir, name+".pem")
	a.write(path, key, cert)
	return path
}

// files are two files, as we read them.
func (a *authority) files(name string) (cert, key string) {
	a.t.Helper()
	k, c := a.sign(name)
	cert, key = filepath.Join(a.dir, name+".cert.pem"), filepath.Join(a.dir, name+".key.pem")
	a.write(cert, c)
	a.write(key, k)
	return cert, key
}

func (a *authority) write(path string, blocks ...*pem.Block) {
	a.t.Helper()
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
}
