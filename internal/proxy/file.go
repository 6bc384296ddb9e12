package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Kept returns the configurations in the file, in the order of their ids; none if
// there is no file.
func (s *Roster[C, R]) Kept() ([]C, error) {
	if s.File == "" {
		return nil, nil
	}
	b, err := os.ReadFile(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []C
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", s.File, err)
	}
	return all, nil
}

// save writes the configurations to the file.
func (s *Roster[C, R]) save() error {
	if s.File == "" {
		return nil
	}
	all := []C{}
	for _, e := range s.sorted() {
		all = append(all, e.config)
	}
	b, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return err
	}
	return replace(s.File, append(b, '\n'))
}

// replace gives a file another content: whoever opens it, and whatever happens
// meanwhile, finds all of the old one or all of the new one. Nobody else may read
// it, for URLs have passwords in them.
func replace(path string, content []byte) (err error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	if d, e := os.Open(dir); e == nil { // some systems cannot sync a folder, and need not
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}
