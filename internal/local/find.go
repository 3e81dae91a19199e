package local

import (
	"context"
	"path/filepath"
)

// FindPostgres looks for the PostgreSQL that StartPostgres would take for the
// data folder dir: in bin if it is given, else on the machine and in the
// cache. found is false when one would be fetched; refused then says what was
// found and why it does not do. Nothing is started or changed.
func FindPostgres(ctx context.Context, bin, dir string) (in Installation, found bool, refused []string, err error) {
	folder := ""
	if dir != "" {
		folder = filepath.Join(dir, clusterName)
	}
	account, err := serverAccount(folder)
	if err != nil {
		return in, false, nil, err
	}
	s := &search{account: account, major: dataMajor(folder)}
	in, found, err = s.locate(ctx, bin, defaultCache())
	return in, found, s.refused, err
}
