// Package pgadmin talks to pgAdmin as its pages do: it logs in, opens a
// registered server and lists what is in it. pgAdmin has no API for others; the
// paths here are those of its browser tree.
//
// Every answer that is not as expected is an error with pgAdmin's own words. A
// server that asks for a password fails: nobody is there to give one.
package pgadmin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// maxAnswer bounds what is read of an answer: pages of pgAdmin have a few
// hundred kilobytes.
const maxAnswer = 8 << 20

// csrfHeader carries the token that pgAdmin asks of every change.
const csrfHeader = "X-pgA-CSRFToken"

// csrf finds the token in the login page, and in the script of the main page.
var csrf = regexp.MustCompile(`(?:"csrfToken":\s*"|\['csrf_token'\]\s*=\s*')([^"']+)`)

// Client is a session of one user.
type Client struct {
	base  string // http://host:port
	http  *http.Client
	token string
}

// node is an entry of the tree.
type node struct {
	ID    id     `json:"_id"`
	Label string `json:"label"`
}

// id is a node's, which pgAdmin writes as a number or as a text.
type id string

func (i *id) UnmarshalJSON(text []byte) error {
	*i = id(bytes.Trim(text, `"`))
	return nil
}

// Login opens a session.
func Login(ctx context.Context, base, email, password string) (*Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	c := &Client{base: base, http: &http.Client{Jar: jar}}
	if err := c.readToken(ctx, "/login"); err != nil {
		return nil, err
	}
	form := url.Values{"email": {email}, "password": {password}, "csrf_token": {c.token}}
	page, err := c.do(ctx, http.MethodPost, "/authenticate/login", "application/x-www-form-urlencoded", form.Encode())
	if err != nil {
		return nil, err
	}
	if bytes.Contains(page, []byte("Incorrect username or password")) {
		return nil, fmt.Errorf("log in to %s: address or password is refused", base)
	}
	return c, c.readToken(ctx, "/browser/js/utils.js")
}

// readToken takes the token that a page carries.
func (c *Client) readToken(ctx context.Context, path string) error {
	page, err := c.do(ctx, http.MethodGet, path, "", "")
	if err != nil {
		return err
	}
	m := csrf.FindSubmatch(page)
	if m == nil {
		return fmt.Errorf("%s%s carries no token", c.base, path)
	}
	c.token = string(m[1])
	return nil
}

// Tables opens a server that is registered in a group, without a password, and
// lists the tables of a schema.
func (c *Client) Tables(ctx context.Context, group, server, database, schema string) ([]string, error) {
	gid, err := c.find(ctx, "/browser/nodes/", group)
	if err != nil {
		return nil, err
	}
	sid, err := c.find(ctx, path("server/nodes", gid)+"/", server)
	if err != nil {
		return nil, err
	}
	if _, err := c.do(ctx, http.MethodPost, path("server/connect", gid, sid), "", ""); err != nil {
		return nil, fmt.Errorf("connect to server %q: %w", server, err)
	}
	did, err := c.find(ctx, path("database/nodes", gid, sid)+"/", database)
	if err != nil {
		return nil, err
	}
	if _, err := c.do(ctx, http.MethodPost, path("database/connect", gid, sid, did), "", ""); err != nil {
		return nil, fmt.Errorf("connect to database %q: %w", database, err)
	}
	scid, err := c.find(ctx, path("schema/nodes", gid, sid, did)+"/", schema)
	if err != nil {
		return nil, err
	}
	tables, err := c.nodes(ctx, path("table/nodes", gid, sid, did, scid)+"/")
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = t.Label
	}
	return names, err
}

func (c *Client) find(ctx context.Context, path, name string) (id, error) {
	nodes, err := c.nodes(ctx, path)
	if err != nil {
		return "", err
	}
	for _, n := range nodes {
		if n.Label == name {
			return n.ID, nil
		}
	}
	return "", fmt.Errorf("%s has no %q, but %v", path, name, nodes)
}

func (c *Client) nodes(ctx context.Context, path string) ([]node, error) {
	body, err := c.do(ctx, http.MethodGet, path, "", "")
	if err != nil {
		return nil, err
	}
	// Servers stand in result, all else in data.
	var answer struct{ Data, Result []node }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%s: %w in %.200s", path, err, body)
	}
	return append(answer.Data, answer.Result...), nil
}

func path(what string, ids ...id) string {
	var b strings.Builder
	b.WriteString("/browser/" + what)
	for _, id := range ids {
		b.WriteString("/" + string(id))
	}
	return b.String()
}

func (c *Client) do(ctx context.Context, method, path, contentType, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		req.Header.Set(csrfHeader, c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %.300s", method, path, res.Status, answer)
	}
	return answer, nil
}
