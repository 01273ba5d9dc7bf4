package settingsdb

import "reflect"

// unavailable is a feature that the document can ask for and this version does
// not have. used returns the paths of the keys that ask for it.
type unavailable struct {
	feature string
	used    func(s Settings) []string
}

// notBuiltYet lists what this version refuses. Whoever builds a feature deletes
// its line.
func notBuiltYet() []unavailable {
	return []unavailable{
		{"the kernel data path", kernelForwarding},
		{"the kernel data path", differs("inside_addr", func(s Settings) any { return s.InsideAddr })},
	}
}

func checkAvailable(p *Problems, s Settings) {
	s = s.filled()
	for _, missing := range notBuiltYet() {
		for _, field := range missing.used(s) {
			p.add(field, "%s is not available in this version: leave out the key to keep its default", missing.feature)
		}
	}
}

// differs finds a value that is not as in the default document.
func differs(path string, value func(Settings) any) func(Settings) []string {
	return func(s Settings) []string {
		if reflect.DeepEqual(value(s), value(Default())) {
			return nil
		}
		return []string{path}
	}
}

func kernelForwarding(s Settings) []string {
	if s.Forwarding != "kernel" {
		return nil
	}
	return []string{"forwarding"}
}
