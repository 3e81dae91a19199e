package compose

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/test/line"
)

var profiles = []string{"spark", "pgadmin", "zookeeper", "observability"}

// skeletonPorts are those that people of the skeleton know, each with its
// service. They are what .env.example says.
var skeletonPorts = map[string]string{
	"kafka": "9092", "postgres": "5432", "millstream": "5000", "spark-master": "8080", "spark-job": "4040",
	"pgadmin": "5050", "zookeeper": "2181", "prometheus": "9090", "grafana": "3000",
}

// service is what the compose client makes of one.
type service struct {
	Image       string
	Restart     string
	Healthcheck *struct {
		Test    []string
		Disable bool
	}
	Ports []struct {
		HostIP    string `json:"host_ip"`
		Published string
	}
	DependsOn map[string]struct{ Condition string } `json:"depends_on"`
	ReadOnly  bool                                  `json:"read_only"`
	CapDrop   []string                              `json:"cap_drop"`
	Volumes   []struct{ Type, Source, Target string }
}

// TestFiles has the compose client read the files as a user's would.
func TestFiles(t *testing.T) {
	s := newStack(t)
	example := filepath.Join(line.Root(), ".env.example")
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("profiles", func(t *testing.T) {
		for _, p := range profiles {
			s.profiles = []string{p}
			s.compose("config", "--quiet")
		}
	})
	s.profiles = profiles
	services := s.services()

	t.Run("services", func(t *testing.T) {
		for name, v := range services {
			checkService(t, name, v)
		}
	})
	t.Run("ports", func(t *testing.T) {
		for name, port := range skeletonPorts {
			v, ok := services[name]
			if !ok || len(v.Ports) != 1 {
				t.Errorf("service %s publishes %v, want port %s", name, v.Ports, port)
				continue
			}
			if !regexp.MustCompile(`(?m)_PORT=` + port + `$`).Match(text) {
				t.Errorf(".env.example has no port %s for %s", port, name)
			}
		}
	})
	t.Run("passwords", func(t *testing.T) { checkPasswords(t, s, string(text)) })
}

func (s *stack) services() map[string]service {
	s.t.Helper()
	var file struct{ Services map[string]service }
	if err := json.Unmarshal([]byte(s.compose("config", "--format", "json")), &file); err != nil {
		s.t.Fatal(err)
	}
	return file.Services
}

var pinned = regexp.MustCompile(`:v?\d+\.\d+(\.\d+)?$`)

// checkService holds a service to the rules of the file.
func checkService(t *testing.T, name string, v service) {
	t.Helper()
	if !pinned.MatchString(v.Image) && !strings.HasSuffix(v.Image, ":local") {
		t.Errorf("%s: image %s is not pinned by version", name, v.Image)
	}
	if v.Healthcheck == nil && v.Image != "millstream:local" && name != "spark-job" {
		t.Errorf("%s: no health check, neither here nor in the image", name)
	}
	if name == "kafka-init" {
		return // it ends
	}
	if v.Healthcheck != nil && v.Healthcheck.Disable {
		t.Errorf("%s: its health check is off", name)
	}
	if v.Restart != "unless-stopped" {
		t.Errorf("%s: restart is %q", name, v.Restart)
	}
	if v.Image == "millstream:local" && (!v.ReadOnly || len(v.CapDrop) != 1 || v.CapDrop[0] != "ALL") {
		t.Errorf("%s: may write to its root, or has capabilities: %+v", name, v)
	}
	for _, p := range v.Ports {
		if p.HostIP != "127.0.0.1" {
			t.Errorf("%s: port %s is published on %q", name, p.Published, p.HostIP)
		}
	}
	for other, d := range v.DependsOn {
		if d.Condition == "service_started" {
			t.Errorf("%s: does not wait until %s is healthy", name, other)
		}
	}
	for _, m := range v.Volumes {
		if m.Type == "volume" && m.Source == "" {
			t.Errorf("%s: the volume at %s has no name", name, m.Target)
		}
	}
}

// checkPasswords holds that no password stands in .env.example, that make env
// gives each another, and that compose refuses to go on without.
func checkPasswords(t *testing.T, s *stack, example string) {
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(\w*PASSWORD|\w*KEY)=(.*)$`).FindAllStringSubmatch(example, -1) {
		name, value := m[1], s.env[m[1]]
		if m[2] != "" {
			t.Errorf(".env.example gives %s a value", name)
		}
		if len(value) < 32 || seen[value] {
			t.Errorf("make env gave %s %d characters, or another's", name, len(value))
		}
		seen[value] = true
		s.set(name, "")
		out, err := s.try("config", "--quiet")
		if err == nil || !strings.Contains(out, name) || !strings.Contains(out, "make env") {
			t.Errorf("without %s: %v, %s", name, err, out)
		}
		if out, err := s.try("up", "--detach"); err == nil {
			t.Errorf("without %s the stack comes up: %s", name, out)
		}
		s.set(name, value)
	}
	if len(seen) != 4 {
		t.Errorf("%d passwords and keys are made, want 4", len(seen))
	}
}
