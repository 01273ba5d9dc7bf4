// Package policy holds no code, only tests that keep the rules of this
// repository: who may import whom, where the process may be ended, how long a
// file may grow, what lies at the top, that links and lists are true.
//
// Each rule is a function from what it looks at to a list of findings, a table
// of planted breaches that shows it can fail, and a test over the real tree. A
// finding names the place and says what to do. To change a rule, change its
// table in the commit that needs it and say why there.
package policy
