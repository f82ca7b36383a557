package processcheck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// restWatching is how long a watch rests after a process ended, so that a program
// whose processes come and go all the time costs little.
const restWatching = time.Second

// watch calls changed when one of the processes that find returns ends, and when
// it begins to watch others in their place. It returns when ctx ends, and when
// there is nothing to watch.
func watch(ctx context.Context, changed func(), find func(context.Context) ([]int, error)) error {
	for {
		pids, err := find(ctx)
		if err != nil {
			return err
		}
		if err := awaitEnd(ctx, pids, changed); err != nil {
			return err
		}
		changed()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(restWatching):
		}
	}
}

// awaitEnd blocks until one of the processes has ended: until one of their
// pidfds can be read, pidfd_open(2). It calls watching when it would notice.
//
// It waits as a read of a connection does, without a thread: the pidfds are in an
// epoll instance, which in turn can be waited for by Go's own.
func awaitEnd(ctx context.Context, pids []int, watching func()) error {
	epoll, err := newEpoll()
	if err != nil {
		return fmt.Errorf("watching processes: %w", err)
	}
	defer epoll.Close()
	raw, err := epoll.SyscallConn()
	if err != nil {
		return fmt.Errorf("watching processes: %w", err)
	}
	for _, pid := range pids[:min(len(pids), MaxWatched)] {
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) {
			return nil // it has ended already
		}
		if err != nil {
			return fmt.Errorf("watching process %d: %w", pid, err)
		}
		defer unix.Close(fd)
		add := error(nil)
		err = raw.Control(func(epfd uintptr) {
			add = unix.EpollCtl(int(epfd), unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
		})
		if err := errors.Join(err, add); err != nil {
			return fmt.Errorf("watching process %d: %w", pid, err)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = epoll.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	watching()
	var events [1]unix.EpollEvent
	err = raw.Read(func(epfd uintptr) bool {
		n, err := unix.EpollWait(int(epfd), events[:], 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("watching processes: %w", err)
	}
	return nil
}

// newEpoll makes an epoll instance for which a goroutine can wait.
func newEpoll() (*os.File, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // else NewFile would not have it waited for
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "epoll"), nil
}
