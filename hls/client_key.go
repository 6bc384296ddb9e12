package hls

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync/atomic"
)

const (
	keySize  = 16 // of AES-128, which is the size of a block, too
	maxKeys  = 16 // that are kept
	cryptBuf = 32 << 10
)

// A keyring fetches keys and keeps them.
type keyring struct {
	fetch   *fetcher
	retries *atomic.Uint64
	keys    map[string][]byte // by URL
}

// decrypter returns a reader of what src is in clear. base is that of the
// playlist which lists s.
func (k *keyring) decrypter(ctx context.Context, base *url.URL, s *section, src io.Reader) (io.Reader, error) {
	if s.key == nil {
		return src, nil
	}
	if s.key.err != nil {
		return nil, s.key.err
	}
	u, err := resolve(base, s.key.uri)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	key, ok := k.keys[u.String()]
	if !ok {
		p := &piece{ctx: ctx, fetch: k.fetch, url: u, left: -1, limit: keySize, budget: minBudget, retries: k.retries}
		key, err = io.ReadAll(p)
		p.Close()
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		if len(key) != keySize {
			return nil, fmt.Errorf("key: %w", invalid("%d bytes, not %d", len(key), keySize))
		}
		if k.keys == nil || len(k.keys) >= maxKeys {
			k.keys = map[string][]byte{}
		}
		k.keys[u.String()] = key
	}
	iv := s.key.iv
	if iv == nil { // RFC 8216, 5.2
		iv = binary.BigEndian.AppendUint64(make([]byte, 8, keySize), s.sequence)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return &decrypter{src: src, cbc: cipher.NewCBCDecrypter(block, iv)}, nil
}

// A decrypter takes off AES-128-CBC and its padding (RFC 8216, 4.3.2.4). It
// keeps the last block it has back, which may be the one with padding.
type decrypter struct {
	src   io.Reader
	cbc   cipher.BlockMode
	buf   [cryptBuf]byte
	clear int // of buf: decrypted
	read  int // of those: given out
	have  int // of buf: read
	err   error
}

func (d *decrypter) Read(p []byte) (int, error) {
	for d.read == d.clear {
		if d.err != nil {
			return 0, d.err
		}
		d.fill()
	}
	n := copy(p, d.buf[d.read:d.clear])
	d.read += n
	return n, nil
}

// fill reads and decrypts more.
func (d *decrypter) fill() {
	d.have = copy(d.buf[:], d.buf[d.clear:d.have])
	d.clear, d.read = 0, 0
	n, err := d.src.Read(d.buf[d.have:])
	d.have += n
	d.err = err
	last := errors.Is(err, io.EOF)
	whole := d.have / keySize * keySize
	if !last {
		whole = max(0, whole-keySize)
	}
	d.cbc.CryptBlocks(d.buf[:whole], d.buf[:whole])
	d.clear = whole
	if !last {
		return
	}
	if d.have%keySize != 0 {
		d.err = invalid("encrypted data of no whole blocks")
		return
	}
	if whole == 0 {
		return
	}
	pad := int(d.buf[whole-1])
	if pad < 1 || pad > keySize || bytes.Count(d.buf[whole-pad:whole], []byte{byte(pad)}) != pad {
		d.clear, d.err = 0, invalid("the padding is wrong: so may be the key")
		return
	}
	d.clear -= pad
}
