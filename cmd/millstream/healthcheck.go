package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/pipeline"
)

// maxHealthBody bounds what is read of an answer.
const maxHealthBody = 64 << 10

func (a *app) healthcheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthcheck [URL]",
		Short: "Ask a running pipeline for its health; ends with 0 if it is healthy",
		Args:  usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			var url string
			if len(args) == 1 {
				url = args[0]
			} else {
				if err := a.useRunning(a.config.Name); err != nil {
					return err
				}
				url = healthURL(a.config.Serve.Listen)
			}
			return a.healthcheck(cmd.Context(), url)
		},
	}
	settingsFlags(cmd, "serve.listen", "name", "log.level", "log.format", "quiet")
	return cmd
}

func healthURL(listen string) string {
	switch {
	case listen == "":
		listen = "127.0.0.1:5000"
	case strings.HasPrefix(listen, "http"):
		return listen + "/health"
	}
	if host, port, ok := strings.Cut(listen, ":"); ok && (host == "" || host == "0.0.0.0") {
		listen = "127.0.0.1:" + port
	}
	return "http://" + listen + "/health"
}

func (a *app) healthcheck(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return usageError{err}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return &pipeline.NotReadyError{What: "health", Err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxHealthBody))
	if err != nil {
		return &pipeline.NotReadyError{What: "health", Err: err}
	}
	if !a.config.Log.Quiet {
		fmt.Fprintf(a.out, "%s\n", strings.TrimSpace(string(body)))
	}
	if res.StatusCode != http.StatusOK {
		return errors.New("unhealthy: " + res.Status)
	}
	return nil
}
