package api

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"

	"vdi-gateway/gateway"
)

func TestDescribe(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		status int
		want   errorEntry
		retry  time.Duration
	}{
		{
			"a refusal", &gateway.Refusal{Err: gateway.ErrTargetDenied, Field: "vm_port", Detail: "no"}, 403,
			errorEntry{Code: "TARGET_DENIED", Field: "vm_port", Message: "no"},
			0,
		},
		{
			"wrapped", fmt.Errorf("x: %w", &gateway.Refusal{Err: gateway.ErrDraining, Detail: "later", RetryAfter: time.Minute}), 503,
			errorEntry{Code: "DRAINING", Message: "later"},
			time.Minute,
		},
		{"a bare sentinel", gateway.ErrExpired, 410, errorEntry{Code: "GRANT_EXPIRED", Message: "expired"}, 0},
		{
			"a timeout of ours", fmt.Errorf("query: %w", context.DeadlineExceeded), 503,
			errorEntry{Code: "OVERLOADED", Message: "query: context deadline exceeded"},
			0,
		},
		{"hung up", context.Canceled, 503, errorEntry{Code: "DRAINING", Message: "context canceled"}, 0},
		{
			"anything else", errors.New("secret inside"), 500,
			errorEntry{Code: "INTERNAL", Message: "the node failed; its log tells why under this request_id"},
			0,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := describe(tt.err)
			if got.status != tt.status || got.errors[0] != tt.want || got.retry != tt.retry {
				t.Errorf("got %+v, want %d %+v %s", got, tt.status, tt.want, tt.retry)
			}
		})
	}
}

// TestEverySentinelIsMapped reads the gateway's sentinels from its source, so
// that a new one cannot become an internal error unseen.
func TestEverySentinelIsMapped(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../gateway/refusal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Err") {
			count++
		}
		return true
	})
	mapped := 0
	for _, s := range sentinels {
		if s.code == "" || s.status < 400 {
			t.Errorf("%v: got %d %q", s.err, s.status, s.code)
		}
		if !strings.HasPrefix(s.err.Error(), "context") {
			mapped++
		}
	}
	const ownAndStore = 8 // of this package and of settingsdb
	if mapped != count+ownAndStore {
		t.Errorf("got %d sentinels mapped, want the %d of the gateway and %d more: add what is new to errors.go", mapped, count, ownAndStore)
	}
}
