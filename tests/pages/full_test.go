//go:build e2e

package pages

// full has every loss in every way, and crowds.
const full = true
