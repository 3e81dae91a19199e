package line_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/scaffold"
)

// TestInit makes a project of each template, which validates, passes its
// tests and runs as it stands; a second time it is refused and nothing is
// touched.
func TestInit(t *testing.T) {
	for _, template := range scaffold.Templates {
		t.Run(template.Name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.want(0, []string{"made My-shop in shop", "millstream dev pipeline.sql", ".github/workflows/test.yml"}, "init", "shop", "--name", "My-shop", "--template", template.Name)
			for name, has := range map[string]string{
				"compose.yaml": "name: my-shop\n", ".env.example": "PIPELINE_NAME=My-shop\n", "README.md": "# My-shop\n", ".gitignore": ".env\n",
				".github/workflows/test.yml": "millstream test pipeline.sql", "make-env": "#!/bin/sh",
			} {
				text, err := os.ReadFile(p.path(filepath.Join("shop", filepath.FromSlash(name))))
				if err != nil || !strings.Contains(string(text), has) || strings.Contains(string(text), "@NAME@") {
					t.Errorf("%s does not have %q: %v\n%s", name, has, err, text)
				}
			}
			p.want(0, []string{"✓"}, "validate", "shop/pipeline.sql")
			p.want(0, []string{" 0 failed"}, "test", "shop/pipeline.sql")
			p.want(0, nil, "run", "shop/pipeline.sql", "--local", "--until-end", "--quiet", "--local-host", "127.0.0.1", "--listen", "127.0.0.1:0")

			mine := "-- mine\n"
			if err := os.WriteFile(p.path("shop/pipeline.sql"), []byte(mine), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(p.path("shop/README.md")); err != nil {
				t.Fatal(err)
			}
			p.want(2, []string{"pipeline.sql", "nothing is overwritten"}, "init", "shop")
			if text, err := os.ReadFile(p.path("shop/pipeline.sql")); err != nil || string(text) != mine {
				t.Errorf("pipeline.sql was overwritten: %s (%v)", text, err)
			}
			if _, err := os.Stat(p.path("shop/README.md")); err == nil {
				t.Error("a part was written, though files were in the way")
			}
		})
	}
}

// TestInitRefuses: options that can't be.
func TestInitRefuses(t *testing.T) {
	p := newPlace(t)
	p.want(2, []string{"there are skeleton, orders, minimal"}, "init", "--template", "shop")
	p.want(2, []string{"--name"}, "init", "--name", "no spaces")
	if entries, err := os.ReadDir(p.dir); err != nil || len(entries) != 0 {
		t.Errorf("something was written: %v (%v)", entries, err)
	}
}
