package plan

import (
	"net"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

func (b *builder) buildServers() {
	for _, s := range b.file.Statements {
		if n := s.Node.GetCreateForeignServerStmt(); n != nil {
			b.buildServer(s, n)
		}
	}
}

// buildServer reads CREATE SERVER … FOREIGN DATA WRAPPER kafka.
func (b *builder) buildServer(s *sqlfile.Statement, n *pg_query.CreateForeignServerStmt) {
	server := Server{Name: n.GetServername()}
	pos := s.Find(server.Name, 0)
	if n.GetFdwname() != DefaultServer {
		b.report(problem(codeServer, s.Find(n.GetFdwname(), 0), "write FOREIGN DATA WRAPPER kafka",
			"server %q has the foreign data wrapper %q: servers of a pipeline are Kafka clusters", server.Name, n.GetFdwname()))
	}
	if b.servers[server.Name] {
		message := "there is a server %q already"
		if server.Name == DefaultServer {
			message = "server %q is the configured cluster and can't be made in the file"
		}
		b.report(problem(codeNameTaken, pos, "give it another name", message, server.Name))
	}
	b.servers[server.Name] = true
	set := &optionSet{
		statement: s, what: quoteWhat("server", server.Name), unknown: codeOption, invalid: codeOptionValue,
		known: map[string]func(option) *diag.Diagnostic{
			"brokers": func(o option) *diag.Diagnostic {
				var d *diag.Diagnostic
				server.Brokers, d = o.brokers()
				return d
			},
		},
	}
	problems := set.read(n.GetOptions())
	if len(problems) == 0 && len(server.Brokers) == 0 {
		problems = diag.List{problem(codeOptionValue, pos, "add OPTIONS (brokers 'host:9092')", "server %q has no brokers", server.Name)}
	}
	b.report(problems...)
	b.pipeline.Servers = append(b.pipeline.Servers, server)
}

// brokers reads a list of addresses.
func (o option) brokers() ([]string, *diag.Diagnostic) {
	var out []string
	for _, address := range strings.Split(o.value, ",") {
		address = strings.TrimSpace(address)
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" || port == "" {
			return nil, o.wrong("write 'host:9092', several with commas", "an address has a host and a port")
		}
		out = append(out, address)
	}
	return out, nil
}

func quoteWhat(what, name string) string { return what + ` "` + name + `"` }
