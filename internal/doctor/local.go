package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/millstream-dev/millstream/internal/local"
)

// lowDisk is how much free room makes a warning: a day of a few hundred events
// a second, with PostgreSQL's own files.
const lowDisk = 2 << 30

// local examines what the embedded broker and database need.
func (x *examination) local(ctx context.Context) {
	data := x.Config.Local.Data
	x.programs(ctx, data)
	if data == "" {
		x.warn("local.data", "--data DIR, or MILLSTREAM_DATA, keeps it", "no data folder is set: topics and tables are gone when the program ends")
		data = os.TempDir()
	}
	x.folder(data)
	for _, part := range []struct{ name, port string }{{"broker", "9092"}, {"database", "5432"}} {
		if free, err := canListen(net.JoinHostPort("127.0.0.1", part.port)); !free && err == nil {
			x.warn("local.port", "", "port %s is taken: the %s will take the next free one, which the banner tells", part.port, part.name)
		}
	}
}

// programs looks for PostgreSQL.
func (x *examination) programs(ctx context.Context, data string) {
	dir := ""
	if data != "" {
		dir = filepath.Join(data, "postgres")
	}
	in, found, refused, err := local.FindPostgres(ctx, x.Config.Local.PGBin, dir)
	switch {
	case err != nil:
		x.fail("local.postgres", "correct --pg-bin (MILLSTREAM_PG_BIN), or leave it out: PostgreSQL is looked for then", "%v", err)
	case !found:
		text := "no PostgreSQL 15 or newer was found on this machine: it is fetched at the first start (about 10 MB)"
		if len(refused) > 0 {
			text += "; not usable: " + strings.Join(refused, "; ")
		}
		x.warn("local.postgres", "install PostgreSQL, or say where it is by --pg-bin, if this machine is offline", "%s", text)
	default:
		x.fine("local.postgres", "PostgreSQL %s in %s", in.Version, in.Bin)
	}
}

// folder looks at the data folder, or at the nearest folder above it that is
// there already.
func (x *examination) folder(data string) {
	dir, err := filepath.Abs(data)
	if err != nil {
		x.fail("local.data", "name another folder by --data", "%v", err)
		return
	}
	for {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
			continue
		}
		if err == nil && !info.IsDir() {
			err = &fs.PathError{Op: "use as data folder", Path: dir, Err: syscall.ENOTDIR}
		}
		if err == nil {
			err = writable(dir)
		}
		if err != nil {
			x.fail("local.data", "name another folder by --data, or give this user the right to write there", "%v", err)
			return
		}
		break
	}
	free, err := freeBytes(dir)
	switch {
	case err != nil:
		x.unknown("local.disk", "", "free room of %s can't be asked for: %v", dir, err)
	case free < lowDisk:
		x.warn("local.disk", "make room, or name a folder on a larger disk by --data", "%d MB are free in %s", free>>20, dir)
	default:
		x.fine("local.disk", "%.0f GB are free in %s", float64(free)/(1<<30), dir)
	}
}

// api looks at where the API is to answer.
func (x *examination) api() {
	listen := x.Config.Serve.Listen
	if listen == "" {
		if free, err := canListen("127.0.0.1:5000"); !free && err == nil {
			x.warn("api.port", "--listen host:port chooses another", "port 5000 is taken: the API will take the next free one, which the banner tells")
		}
		return
	}
	switch free, err := canListen(listen); {
	case err != nil:
		x.fail("api.listen", "correct --listen (MILLSTREAM_LISTEN): host:port of this machine", "%v", err)
	case !free:
		x.warn("api.listen", "if it is not this pipeline that runs there, choose another by --listen", "%s is taken", listen)
	default:
		x.fine("api.listen", "the API can answer on %s", listen)
	}
	if file := x.Config.Serve.APIKeyFile; file != "" {
		if key, err := os.ReadFile(file); err != nil || strings.TrimSpace(string(key)) == "" {
			x.fail("api.key", "write one key into the file, readable by this user", "the API key can't be read from %s", file)
		}
	}
}

// canListen tells whether an address is free. An error is about the address.
func canListen(address string) (bool, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	l.Close()
	return true, nil
}
