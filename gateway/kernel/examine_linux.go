package kernel

import (
	"errors"
	"net/netip"
	"slices"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/gateway/kernel/rules"
)

// Examination is what stands between this host and the data path.
type Examination struct {
	// Lacks is why the path cannot be used, a line each.
	Lacks []string
	// Unset are the sysctls that are not as they have to be. A node sets them when it
	// starts, if it may.
	Unset []string
	// Warnings are of what may keep packets from their way all the same.
	Warnings []string
	// Unseen is why some of that is not known; nil: it is.
	Unseen error
}

// Examine looks at the host for a config of the rules, and changes nothing. Beside sysctls
// it needs CAP_NET_ADMIN.
func Examine(c rules.Config) (e Examination) {
	switch err := conntrack.Check(); { // first: it may have the kernel load a module
	case errors.Is(err, conntrack.ErrNotPermitted):
		e.Unseen = err
	case err != nil:
		e.Lacks = append(e.Lacks, err.Error())
	}
	unset, err := conntrack.Missing(tuning(c))
	for _, u := range unset {
		e.Unset = append(e.Unset, u.String())
	}
	if err != nil {
		e.Lacks = append(e.Lacks, err.Error())
	}
	if e.Unseen != nil {
		return e
	}
	f := rules.Check(c.Mark)
	e.Lacks = append(e.Lacks, f.Missing...)
	if len(f.Missing) == 0 {
		e.Warnings = rules.Warnings(c)
	}
	return e
}

// tuning is which sysctls the flows of these rules need.
func tuning(c rules.Config) conntrack.Tuning {
	return conntrack.Tuning{
		IPv4: slices.ContainsFunc(c.Virtual, netip.Addr.Is4), IPv6: slices.ContainsFunc(c.Virtual, netip.Addr.Is6), Liberal: true,
	}
}
