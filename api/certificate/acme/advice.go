package acme

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/mholt/acmez/v3/acme"
)

// unreached is an error of before the authority was told anything, with the setting to
// look at.
func unreached(err error) error {
	advice := "is tls.acme.directory right, and can this node reach it?"
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		advice = "tls.acme.ca_file has to hold who vouches for the authority's server"
	}
	return notAsked{fmt.Errorf("%w; %s", err, advice)}
}

// refused is what the authority has to say, with the setting to look at if it tells.
func refused(err error) error {
	var problem acme.Problem
	if !errors.As(err, &problem) {
		return err
	}
	if what := advice(problem.Type); what != "" {
		return fmt.Errorf("%w; %s", err, what)
	}
	return err
}

// advice is on an error of RFC 8555, section 6.7.
func advice(kind string) string {
	switch kind {
	case acme.ProblemTypeInvalidContact, acme.ProblemTypeUnsupportedContact:
		return "the authority does not take tls.acme.email"
	case acme.ProblemTypeRejectedIdentifier, acme.ProblemTypeUnsupportedIdentifier, acme.ProblemTypeCAA:
		return "the authority issues nothing for the name in tls.acme.names (or public_addr)"
	case acme.ProblemTypeConnection, acme.ProblemTypeDNS, acme.ProblemTypeUnauthorized, acme.ProblemTypeIncorrectResponse:
		return "from where the authority is, the name in tls.acme.names (or public_addr) has to lead here, to port 80 or what is translated to tls.acme.port"
	case acme.ProblemTypeExternalAccountRequired:
		return "accounts that are bound to others are not supported: choose another authority for tls.acme.directory"
	}
	return ""
}
