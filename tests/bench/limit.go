package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"github.com/labstack/echo/v4"

	"vdi-gateway/tests/lab"
)

// limitPort is where the bare server listens.
const limitPort = 9000

// limitTime bounds how long the bare server may take to start.
const limitTime = 10 * time.Second

// serveLimit is the bare server: the same web framework, which does nothing but
// answer open_connection with what it was given on standard input.
func serveLimit(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: bench limit ADDR:PORT <ANSWER")
	}
	answer, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.POST(openPath, func(c echo.Context) error { return c.JSONBlob(http.StatusCreated, answer) })
	e.POST(closePath, func(c echo.Context) error { return c.JSONBlob(http.StatusOK, []byte("{}")) })
	e.GET("/readyz", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	stop := context.AfterFunc(ctx, func() { _ = e.Close() })
	defer stop()
	if err := e.Start(args[0]); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// launchLimit starts the bare server on a host.
func launchLimit(host *lab.Host, addr netip.AddrPort, answer []byte) (*lab.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), self, "limit", addr.String()) //nolint:gosec // this program again
	cmd.Stdin = bytes.NewReader(answer)
	return host.Start(cmd)
}

// startLimit starts the bare server and waits until it answers.
func startLimit(host *lab.Host, addr netip.AddrPort, answer []byte) error {
	p, err := launchLimit(host, addr, answer)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limitTime)
	defer cancel()
	if err := awaitReady(ctx, host, addr); err != nil {
		return fmt.Errorf("the bare server: %w: %s", err, p.Output())
	}
	return nil
}
