package spark

import (
	"archive/zip"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed job/main.py job/millstream_job/*.py
var application embed.FS

// Files are the application on disk, as spark-submit takes it.
type Files struct {
	Main    string // the script
	Package string // a zip of the package millstream_job
	Job     string // the job's description
	Program string // this program, for the executors
}

// Unpack writes the application and a job's description into dir.
func Unpack(dir string, job *Job) (Files, error) {
	files := Files{Main: filepath.Join(dir, "main.py"), Package: filepath.Join(dir, "millstream_job.zip"), Job: filepath.Join(dir, "job.json")}
	script, err := application.ReadFile("job/main.py")
	if err != nil {
		return files, err
	}
	if err := os.WriteFile(files.Main, script, 0o644); err != nil {
		return files, err
	}
	if err := writePackage(files.Package); err != nil {
		return files, err
	}
	description, err := json.MarshalIndent(job, "", "  ")
	if err != nil {
		return files, err
	}
	if err := os.WriteFile(files.Job, description, 0o644); err != nil {
		return files, err
	}
	files.Program, err = nameProgram(dir)
	return files, err
}

// nameProgram gives the program the name that the job looks for, whatever it
// is called on this machine. A symbolic link would not do: Spark ships a file
// by the name of what the link leads to.
func nameProgram(dir string) (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return "", err
	}
	named := filepath.Join(dir, "millstream")
	if os.Link(program, named) == nil {
		return named, nil
	}
	return named, copyProgram(program, named) // another file system
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("copy the program for Spark: %w", err)
	}
	return out.Close()
}

func writePackage(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	z := zip.NewWriter(f)
	err = fs.WalkDir(application, "job/millstream_job", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := application.ReadFile(file)
		if err != nil {
			return err
		}
		w, err := z.Create(path.Clean(strings.TrimPrefix(file, "job/")))
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return f.Close()
}

// ReadJob reads a description that Unpack has written.
func ReadJob(name string) (*Job, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	job := &Job{}
	if err := json.Unmarshal(b, job); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if job.Version != jobVersion {
		return nil, fmt.Errorf("%s: a job description of version %d, and this program reads version %d: the program on the executors is another one than the driver's", name, job.Version, jobVersion)
	}
	return job, nil
}
