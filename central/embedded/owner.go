package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// owner is the user as whom PostgreSQL runs: it refuses to run as root.
type owner struct {
	uid, gid uint32
	change   bool // this process is root and must become that user
}

// chooseOwner returns the user for the store in dir: the owner of the data if
// there are any, this process's user, or, for root, `postgres` or `nobody`.
func chooseOwner(dir string) (owner, error) {
	uid := os.Geteuid()
	self := owner{uid: uint32(uid), gid: uint32(os.Getegid())}
	info, err := os.Stat(dir)
	switch {
	case err == nil:
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return owner{}, fmt.Errorf("owner of %s: no such information on this system", dir)
		}
		if uid == 0 && st.Uid != 0 {
			return owner{uid: st.Uid, gid: st.Gid, change: true}, nil
		}
		if uid != 0 && st.Uid != uint32(uid) {
			return owner{}, fmt.Errorf("%w: %s belongs to user %d, this process runs as %d: run as that user, or use another directory",
				ErrForeignStore, dir, st.Uid, uid)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return owner{}, fmt.Errorf("owner of the store: %w", err)
	}
	if uid != 0 {
		return self, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue // the next name is the remedy
		}
		o, err := ownerOf(u)
		if err != nil {
			return owner{}, err
		}
		if o.uid != 0 {
			return o, nil
		}
	}
	return owner{}, errors.New("PostgreSQL does not run as root and neither user `postgres` nor `nobody` exists: create one (`useradd --system postgres`) or run as another user")
}

func ownerOf(u *user.User) (owner, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return owner{}, fmt.Errorf("user %s: id %q: %w", u.Username, u.Uid, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return owner{}, fmt.Errorf("user %s: group id %q: %w", u.Username, u.Gid, err)
	}
	return owner{uid: uint32(uid), gid: uint32(gid), change: true}, nil
}

// attr makes a child run as the owner.
func (o owner) attr() *syscall.SysProcAttr {
	if !o.change {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: o.uid, Gid: o.gid}}
}

// give hands a file or an empty directory to the owner.
func (o owner) give(path string) error {
	if !o.change {
		return nil
	}
	if err := os.Lchown(path, int(o.uid), int(o.gid)); err != nil {
		return fmt.Errorf("give %s to the database's user: %w", path, err)
	}
	return nil
}

// writeFile replaces a private file of the owner, never leaving a half one.
func (o owner) writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := o.give(f.Name()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
