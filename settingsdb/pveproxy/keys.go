package pveproxy

import "fmt"

// key is a key of the file that the document has too.
type key struct{ name, path string }

// keys are all of these. The first ones decide together who may come in.
var keys = []key{
	{"ALLOW_FROM", "access.allow_from"},
	{"DENY_FROM", "access.deny_from"},
	{"POLICY", "access.policy"},
	{"LISTEN_IP", "listen_ip"},
	{"CIPHERS", "tls.ciphers"},
	{"CIPHERSUITES", "tls.ciphersuites"},
	{"HONOR_CIPHER_ORDER", "tls.honor_cipher_order"},
	{"DISABLE_TLS_1_2", "tls.disable_tls_1_2"},
	{"DISABLE_TLS_1_3", "tls.disable_tls_1_3"},
	{"DHPARAMS", "tls.dhparams"},
	{keyFile, keyPath},
	{"COMPRESSION", "compression"},
}

const accessKeys = 3

// The key file goes by rules of its own: pveproxy knows where the certificate to it is,
// and this gateway does not.
const (
	keyFile         = "TLS_KEY_FILE"
	keyPath         = "tls.key_file"
	certificatePath = "tls.cert_file"
)

// Certificate is where Proxmox keeps the certificate that TLS_KEY_FILE is the key of.
const Certificate = "/etc/pve/local/pveproxy-ssl.pem"

// elsewhere are keys of pveproxy that are done in another way here.
var elsewhere = map[string]string{
	"PROXY_REAL_IP_HEADER":     proxyProtocol,
	"PROXY_REAL_IP_ALLOW_FROM": proxyProtocol,
	"MAX_WORKERS":              "one process serves everybody here",
}

const proxyProtocol = "the address of a client comes by PROXY protocol here, from the proxies in trusted_proxies"

// unknown says why a key is not taken that the document does not have.
func unknown(name string) string {
	if reason := elsewhere[name]; reason != "" {
		return reason
	}
	return "this gateway has no such setting"
}

// read is a text of the file as a value of the kind of usual, the default, which an empty
// text means, as for pveproxy.
func read(text string, usual any) (any, error) {
	_, flag := usual.(bool)
	switch {
	case text == "":
		return usual, nil
	case !flag:
		return text, nil
	case text == "0" || text == "1":
		return text == "1", nil
	}
	return nil, fmt.Errorf("must be 0 or 1, is %s", shown(text))
}

// written is a value as JSON has it.
func written(value any) string {
	if text, ok := value.(string); ok {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprint(value)
}
