package vrrp

import (
	"os/exec"
	"testing"
	"time"
)

// hogs is how many processes want all the time there is.
const hogs = 4

// It is not parallel: it would disturb the others.
func TestNoFalseChangeUnderLoad(t *testing.T) {
	r := newCluster(t, four, 2, nil)
	owner := r.settled()
	for range hogs {
		_, err := r.client.Start(exec.Command("sh", "-c", "while :; do :; done")) //nolint:noctx // it ends with its host
		r.try(err)
	}
	r.keeps(owner, time.Now(), loadTime)
}
