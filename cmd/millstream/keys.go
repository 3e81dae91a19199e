package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/serve/apikey"
)

const (
	// maxKeyName bounds a key's name, which lists and logs show.
	maxKeyName = 100
	// maxKeyLife bounds --expires, against a slip of the finger.
	maxKeyLife = 100 * 365 * 24 * time.Hour
)

func (a *app) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, list and revoke the API keys of the database",
		Long: `API keys belong to the database: the API of every pipeline in it takes them. They
are kept hashed, so a key is shown once, when it is made. From the first one on
the API asks for a key, on loopback too.

  ingest   write records to topics
  read     read tables, status, streams
  admin    see payloads that were refused, replay, change what runs`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.keysCreateCommand(), a.keysListCommand(), a.keysRevokeCommand())
	return cmd
}

// withKeys opens the configured database, or that of the local stack that
// runs. Only making a key changes the schema of one that an older version has
// left.
func (a *app) withKeys(cmd *cobra.Command, migrate bool, do func(context.Context, apikey.DB) error) error {
	if err := a.load(cmd); err != nil {
		return err
	}
	if err := a.useRunning(""); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), askTimeout)
	defer cancel()
	db, err := pipeline.OpenDatabase(ctx, &a.config.Config, migrate)
	if err != nil {
		return err
	}
	defer db.Close()
	return do(ctx, db.Pool())
}

func keysFlags(a *app, cmd *cobra.Command) *cobra.Command {
	settingsFlags(cmd, "database.url", "log.level", "log.format")
	a.outputFlag(cmd)
	return cmd
}

func (a *app) keysCreateCommand() *cobra.Command {
	var scopes []string
	var expires string
	var rate float64
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a key, and show it this once",
		Long: `Makes a key and prints it to standard output, alone; what is to know about it goes
to standard error. It can't be shown again.

  millstream keys create dashboard
  millstream keys create shop --scopes ingest --expires 90d --rate 500
  millstream keys create deploy --scopes ingest,read,admin > key`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := newKey(args[0], scopes, expires, rate, time.Now())
			if err != nil {
				return usageError{err}
			}
			return a.withKeys(cmd, true, func(ctx context.Context, db apikey.DB) error {
				text, made, err := apikey.Create(ctx, db, k)
				switch {
				case errors.Is(err, apikey.ErrTaken):
					return usageError{fmt.Errorf("%w: %q\n→ `millstream keys revoke %s` ends it, or take another name", err, k.Name, k.Name)}
				case err != nil:
					return &pipeline.NotReadyError{What: "PostgreSQL", Err: err}
				}
				return a.printMade(text, made)
			})
		},
	}
	cmd.Flags().StringSliceVar(&scopes, "scopes", []string{"read"}, "what it allows: some of ingest, read, admin")
	cmd.Flags().StringVar(&expires, "expires", "", "when it ends: after 12h, 90d, or on 2027-01-31; empty: never")
	cmd.Flags().Float64Var(&rate, "rate", 0, "requests per second that it may send; 0: serve.key_rate")
	return keysFlags(a, cmd)
}

// newKey checks what is asked for.
func newKey(name string, scopes []string, expires string, rate float64, now time.Time) (k apikey.Key, err error) {
	k.Name, k.Rate = name, rate
	if strings.TrimSpace(name) != name || name == "" || len(name) > maxKeyName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return k, fmt.Errorf("a key's name has 1 to %d characters, without blanks around them", maxKeyName)
	}
	if rate < 0 || rate > 1e6 {
		return k, fmt.Errorf("--rate %g: a rate is a number of requests per second, up to a million", rate)
	}
	if k.Scopes, err = apikey.ParseScopes(scopes); err != nil {
		return k, err
	}
	k.Expires, err = expiry(expires, now)
	return k, err
}

// expiry reads a length of time, with d for days, or a day.
func expiry(text string, now time.Time) (at time.Time, err error) {
	if text == "" {
		return time.Time{}, nil
	}
	wrong := fmt.Errorf("--expires %s: say after how long, such as 12h or 90d, or on which day, such as 2027-01-31", text)
	if at, err = time.Parse(time.DateOnly, text); err != nil {
		number, days := strings.CutSuffix(text, "d")
		if days {
			number += "h"
		}
		life, fault := time.ParseDuration(number)
		if days && life <= maxKeyLife/24 {
			life *= 24
		}
		if fault != nil || life <= 0 || life > maxKeyLife {
			return time.Time{}, wrong
		}
		at = now.Add(life)
	}
	if !at.After(now) {
		return time.Time{}, fmt.Errorf("--expires %s: that is over", text)
	}
	return at.Truncate(time.Second), nil
}

// keyEntry is a key as -o json shows it.
type keyEntry struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Key     string     `json:"key,omitempty"`
	Scopes  []string   `json:"scopes"`
	Rate    float64    `json:"rate,omitempty"`
	Created time.Time  `json:"created_at"`
	Expires *time.Time `json:"expires_at,omitempty"`
	Revoked *time.Time `json:"revoked_at,omitempty"`
	State   string     `json:"state"`
}

func entryOf(k *apikey.Key, now time.Time) keyEntry {
	e := keyEntry{ID: k.ID, Name: k.Name, Scopes: k.Scopes.Names(), Rate: k.Rate, Created: k.Created.UTC(), State: "valid"}
	if !k.Expires.IsZero() {
		at := k.Expires.UTC()
		if e.Expires = &at; !k.Valid(now) {
			e.State = "expired"
		}
	}
	if !k.Revoked.IsZero() {
		at := k.Revoked.UTC()
		e.Revoked, e.State = &at, "revoked"
	}
	return e
}

func (a *app) printMade(text string, k apikey.Key) error {
	e := entryOf(&k, time.Now())
	e.Key = text
	if a.output == "json" {
		return a.printJSON(e)
	}
	end := "never expires"
	if e.Expires != nil {
		end = "expires " + e.Expires.Format("2006-01-02 15:04 MST")
	}
	fmt.Fprintf(a.err, "key %s for %s: %s, %s; it is shown this once\n", e.ID, e.Name, k.Scopes, end)
	_, err := fmt.Fprintln(a.out, text)
	return err
}

func (a *app) keysListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys: what each allows, and whether it is valid",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withKeys(cmd, false, func(ctx context.Context, db apikey.DB) error {
				keys, err := apikey.List(ctx, db)
				if err != nil {
					return &pipeline.NotReadyError{What: "PostgreSQL", Err: err}
				}
				entries := []keyEntry{}
				for i := range keys {
					entries = append(entries, entryOf(&keys[i], time.Now()))
				}
				if a.output == "json" {
					return a.printJSON(entries)
				}
				return printKeys(a.out, entries)
			})
		},
	}
	return keysFlags(a, cmd)
}

func printKeys(out io.Writer, entries []keyEntry) error {
	day := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.Format(time.DateOnly)
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSCOPES\tRATE\tCREATED\tEXPIRES\tSTATE")
	for _, e := range entries {
		rate := "-"
		if e.Rate > 0 {
			rate = fmt.Sprintf("%g/s", e.Rate)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.Name, strings.Join(e.Scopes, ","), rate, day(&e.Created), day(e.Expires), e.State)
	}
	return w.Flush()
}

func (a *app) keysRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ID|NAME",
		Short: "End a key: servers refuse it within five seconds, and end its streams within ten",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withKeys(cmd, false, func(ctx context.Context, db apikey.DB) error {
				k, err := apikey.Revoke(ctx, db, args[0])
				switch {
				case errors.Is(err, apikey.ErrNone):
					return usageError{fmt.Errorf("there is no valid key %q\n→ `millstream keys list` shows them", args[0])}
				case err != nil:
					return &pipeline.NotReadyError{What: "PostgreSQL", Err: err}
				}
				if a.output == "json" {
					return a.printJSON(map[string]any{"id": k.ID, "name": k.Name, "revoked_at": k.Revoked.UTC()})
				}
				_, err = fmt.Fprintf(a.out, "key %s (%s) is revoked\n", k.ID, k.Name)
				return err
			})
		},
	}
	return keysFlags(a, cmd)
}
