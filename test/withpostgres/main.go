// Command withpostgres runs a command beside a PostgreSQL server of its own:
//
//	withpostgres go test ./...
//
// The server is started in a temporary folder, its URL stands in
// MILLSTREAM_TEST_DATABASE_URL, and it is stopped when the command has ended.
// The exit code is the command's; 3 if there is no server. When the variable
// is set already, that server is used and none is started.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/millstream-dev/millstream/internal/local"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// The exit codes beside the command's own.
const (
	usage    = 2
	noServer = 3
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: withpostgres COMMAND [ARGUMENT…]")
		return usage
	}
	if os.Getenv(pgtest.Variable) != "" {
		return command(args, os.Environ())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server, err := local.StartPostgres(ctx, local.PostgresOptions{Port: -1, Settings: pgtest.Settings})
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
		return noServer
	}
	defer func() { _ = server.Close() }()
	stop()
	return command(args, append(os.Environ(), pgtest.Variable+"="+server.URL()))
}

// command runs args and gives its exit code. An interrupt from the terminal
// reaches the command too, which ends by it; so it is not passed on, and not
// obeyed here. A termination is passed on.
func command(args, env []string) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
		return usage
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM {
				_ = cmd.Process.Signal(s)
			}
		case err := <-done:
			var exit *exec.ExitError
			switch {
			case err == nil:
				return 0
			case errors.As(err, &exit) && exit.ExitCode() >= 0:
				return exit.ExitCode()
			}
			fmt.Fprintln(os.Stderr, "withpostgres:", err)
			return 1
		}
	}
}
