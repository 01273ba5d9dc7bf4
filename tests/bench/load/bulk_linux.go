package load

import (
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// bulkBytes is how much of the file one call sends or one call receives.
const bulkBytes = 1 << 20

// bulkFile is a file in memory with random bytes.
func bulkFile() (int, error) {
	fd, err := unix.MemfdCreate("bulk", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	content := make([]byte, bulkBytes)
	_, _ = rand.Read(content) // never fails
	_, err = unix.Pwrite(fd, content, 0)
	return fd, err
}

// sendBulk sends the file again and again until the other end has left.
func sendBulk(fd, file int) {
	defer unix.Close(fd) //nolint:errcheck // the other end has left
	if unix.SetNonblock(fd, false) != nil {
		return
	}
	for offset := int64(0); ; {
		if offset == bulkBytes {
			offset = 0
		}
		_, err := again(func() (int, error) { return unix.Sendfile(fd, file, &offset, int(bulkBytes-offset)) })
		if err != nil {
			return
		}
	}
}

// bulk receives on all connections and throws away.
func bulk(job Job, p *parent) (Result, error) {
	var total atomic.Int64
	failed := make(chan error, job.Conns)
	for i := range job.Conns {
		fd, err := blocking(job, i)
		if err != nil {
			return Result{}, err
		}
		if _, err := unix.Write(fd, []byte{wantBulk}); err != nil {
			return Result{}, err
		}
		go func() { failed <- receive(fd, &total) }()
	}
	time.Sleep(job.Warm)
	start, before := time.Now(), total.Load()
	if err := p.begin(); err != nil {
		return Result{}, err
	}
	select {
	case err := <-failed:
		return Result{}, err
	case <-time.After(job.Last):
	}
	return Result{Time: time.Since(start), Bytes: total.Load() - before}, nil
}

// receive counts what arrives; the kernel drops it.
func receive(fd int, total *atomic.Int64) error {
	for buf := make([]byte, bulkBytes); ; {
		n, err := again(func() (int, error) {
			n, _, err := unix.Recvfrom(fd, buf, unix.MSG_TRUNC)
			return n, err
		})
		if err != nil || n == 0 {
			return fmt.Errorf("the stream ended early: %w", err)
		}
		total.Add(int64(n))
	}
}
