package machine

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Facts say on what a figure was measured.
type Facts struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	MemoryMB int64  `json:"memory_mb"`
	Kernel   string `json:"kernel"`
	Go       string `json:"go"`
	Java     string `json:"java,omitempty"`
	Kafka    string `json:"kafka,omitempty"`
	Postgres string `json:"postgres,omitempty"`
	Spark    string `json:"spark,omitempty"`
}

// Look reads what the system says of itself.
func Look() Facts {
	f := Facts{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				f.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		f.MemoryMB = kilobytes(text, "MemTotal:") >> 20
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		f.Kernel = strings.TrimSpace(string(text))
	}
	if out, err := exec.Command("java", "-version").CombinedOutput(); err == nil {
		f.Java, _, _ = strings.Cut(string(out), "\n")
	}
	return f
}
