package local

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

const (
	// defaultBrokerPort is Kafka's own.
	defaultBrokerPort = 9092
	// logFolder holds the broker's files within its folder.
	logFolder = "log"
)

// The versions of two requests at which the embedded broker and Java's admin
// client disagree (null arrays): CreateTopics up to 4, and no
// DescribeTopicPartitions at all, as on an older broker.
const (
	createTopicsMax        = 4
	noDescribeTopicsByPart = -1
)

// BrokerOptions say where and how a broker runs.
type BrokerOptions struct {
	// Dir keeps topics, records and group offsets: the folder is made, and
	// locked while in use. Empty: they are kept in memory.
	Dir string
	// Host is where it listens. Empty: 127.0.0.1, and ::1 where there is one.
	Host string
	// Port is the wanted one; if it is taken, the next free one. 0: 9092.
	// Negative: any.
	Port int
	// Advertise is the name or address that clients are sent to. Empty: Host,
	// or this machine's name if Host is every address.
	Advertise string
	// Partitions of topics whose maker doesn't say. 0: 1, as Kafka has it.
	Partitions int
	// NoAutoCreate refuses to make topics that a producer only writes to.
	NoAutoCreate bool
	// OnError is told of failures of its own, such as a full disk. May be nil.
	OnError func(message string)
}

// Broker is a Kafka broker in this process. Any client can use it.
//
// A record that it has acknowledged is in the system's page cache, as on a
// Kafka broker with its default settings: it survives the process' death, but
// not the machine's.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	dir     string
	lock    *os.File
	closing sync.Once
}

// StartBroker starts a broker; it takes connections when it returns.
func StartBroker(o BrokerOptions) (*Broker, error) {
	b := &Broker{}
	opts, err := b.open(o)
	if err != nil {
		return nil, err
	}
	l, err := listenBroker(o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the embedded broker: %w", err), b.unlock())
	}
	b.addr = l.Addr().String()
	opts = append(opts, kfake.ListenFn(func(string, string) (net.Listener, error) { return l, nil }))
	if b.cluster, err = kfake.NewCluster(opts...); err != nil {
		l.Close()
		return nil, errors.Join(fmt.Errorf("start the embedded broker: %w", err), b.unlock())
	}
	if !o.NoAutoCreate {
		b.createOnDemand()
	}
	return b, nil
}

// open makes and locks the folder, and gives the cluster's options.
func (b *Broker) open(o BrokerOptions) ([]kfake.Opt, error) {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(kmsg.CreateTopics.Int16(), createTopicsMax)
	versions.SetMaxKeyVersion(kmsg.DescribeTopicPartitions.Int16(), noDescribeTopicsByPart)
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID(newClusterID()),
		kfake.MaxVersions(versions),
		kfake.DefaultNumPartitions(max(o.Partitions, 1)),
		// Event times of the past must not make records disappear.
		kfake.BrokerConfigs(map[string]string{"log.retention.ms": "-1", "log.retention.bytes": "-1"}),
	}
	if o.OnError != nil {
		opts = append(opts, kfake.WithLogger(errorLog(o.OnError)))
	}
	if o.Dir == "" {
		return opts, nil
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, logFolder), 0o755); err != nil {
		return nil, fmt.Errorf("make the broker's data folder: %w", err)
	}
	if b.lock, err = lockFolder(dir); err != nil {
		return nil, err
	}
	b.dir = dir
	return append(opts, kfake.DataDir(filepath.Join(dir, logFolder))), nil
}

// newClusterID is random as Kafka's are: 16 bytes as base64. A folder keeps
// the first it got.
func newClusterID() string {
	id := make([]byte, 16)
	rand.Read(id) // never fails
	return base64.RawURLEncoding.EncodeToString(id)
}

// Addr is the host:port that clients connect to.
func (b *Broker) Addr() string { return b.addr }

// Dir is the folder of its data, "" if it is kept in memory.
func (b *Broker) Dir() string { return b.dir }

// Close stops the broker and frees its folder. It may be called more than
// once.
func (b *Broker) Close() error {
	var err error
	b.closing.Do(func() {
		b.cluster.Close()
		err = b.unlock()
	})
	return err
}

func (b *Broker) unlock() error {
	if b.lock == nil {
		return nil
	}
	return b.lock.Close()
}

// topicName is what Kafka takes for a topic's name.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// createOnDemand makes the topics that a client asks about, if it says that
// they may be made. The cluster's own way of doing so keeps them in memory
// until it is closed: they, and their records, would not survive a SIGKILL.
func (b *Broker) createOnDemand() {
	b.cluster.ControlKey(kmsg.Metadata.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		req := r.(*kmsg.MetadataRequest)
		if req.AllowAutoTopicCreation && len(req.Topics) > 0 {
			b.cluster.SleepControl(func() { b.createMissing(req) })
		}
		return nil, nil, false // answered as usual
	})
}

func (b *Broker) createMissing(req *kmsg.MetadataRequest) {
	for _, t := range req.Topics {
		if t.Topic == nil || !topicName.MatchString(*t.Topic) || *t.Topic == "." || *t.Topic == ".." {
			continue
		}
		// An error says that it is there already.
		_ = b.cluster.CreateTopic(*t.Topic, 0, nil)
	}
}

// errorLog passes on the cluster's own failures.
type errorLog func(string)

func (f errorLog) Logf(level kfake.LogLevel, format string, args ...any) {
	if level == kfake.LogLevelError {
		f(fmt.Sprintf(format, args...))
	}
}

// listenBroker opens the broker's port.
func listenBroker(o BrokerOptions) (net.Listener, error) {
	port := o.Port
	switch {
	case port == 0:
		port = defaultBrokerPort
	case port < 0:
		port = 0
	}
	host := o.Host
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	l, err := listen(host, port)
	if err != nil {
		return nil, err
	}
	both := &listeners{Listener: l, advertised: advertised(o, l)}
	if host == "127.0.0.1" {
		// Clients that say localhost may try ::1 first, and only.
		_, p, _ := net.SplitHostPort(l.Addr().String())
		both.second, _ = net.Listen("tcp", net.JoinHostPort("::1", p))
	}
	return both.start(), nil
}

// advertised is the address that clients are told.
func advertised(o BrokerOptions, l net.Listener) net.Addr {
	tcp := l.Addr().(*net.TCPAddr)
	host := o.Advertise
	if host == "" {
		host = o.Host
		if tcp.IP.IsUnspecified() {
			host, _ = os.Hostname()
		}
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return address(net.JoinHostPort(host, strconv.Itoa(tcp.Port)))
}

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// listeners are one or two listeners as one, under the advertised address.
type listeners struct {
	net.Listener
	second     net.Listener // nil if there is one only
	advertised net.Addr
	accepted   chan accepted
	closed     chan struct{}
	closing    sync.Once
}

type accepted struct {
	conn net.Conn
	err  error
}

func (l *listeners) start() *listeners {
	l.accepted, l.closed = make(chan accepted), make(chan struct{})
	go l.pass(l.Listener)
	if l.second != nil {
		go l.pass(l.second)
	}
	return l
}

// pass hands connections over until the listener is closed.
func (l *listeners) pass(from net.Listener) {
	for {
		conn, err := from.Accept()
		select {
		case l.accepted <- accepted{conn, err}:
		case <-l.closed:
			if conn != nil {
				conn.Close()
			}
			return
		}
		if err != nil {
			return
		}
	}
}

func (l *listeners) Accept() (net.Conn, error) {
	select {
	case a := <-l.accepted:
		return a.conn, a.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listeners) Addr() net.Addr { return l.advertised }

func (l *listeners) Close() error {
	l.closing.Do(func() {
		close(l.closed)
		l.Listener.Close()
		if l.second != nil {
			l.second.Close()
		}
	})
	return nil
}
