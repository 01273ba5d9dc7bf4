package api

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// swagger is what the tests look at of the file.
type swagger struct {
	BasePath string                                     `json:"basePath"`
	Host     string                                     `json:"host"`
	Info     struct{ Title, Version string }            `json:"info"`
	Paths    map[string]map[string]swaggerOperation     `json:"paths"`
	Security map[string]struct{ Type, Name, In string } `json:"securityDefinitions"`
}

type swaggerOperation struct {
	Summary    string                                  `json:"summary"`
	Security   []map[string][]string                   `json:"security"`
	Responses  map[string]struct{ Description string } `json:"responses"`
	Parameters []struct{ Name, In string }             `json:"parameters"`
	Tags       []string                                `json:"tags"`
}

func readSwagger(t *testing.T, text []byte) swagger {
	t.Helper()
	var s swagger
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRoutesEqualTheSwaggerFile(t *testing.T) {
	file := readSwagger(t, swaggerFile)
	var documented, served []string
	for path, operations := range file.Paths {
		for method, op := range operations {
			key := "open"
			for _, s := range op.Security {
				for name := range s {
					key = name
				}
			}
			documented = append(documented, strings.ToUpper(method)+" "+path+" "+key)
		}
	}
	n := newNode(t, nil)
	for _, op := range n.server.operations() {
		key := "open"
		if op.role != anyone || op.path == "/v3/connect/" { // its GET asks for a key without an upgrade
			key = op.role.key()
		}
		served = append(served, op.method+" "+op.path+" "+key)
	}
	slices.Sort(documented)
	slices.Sort(served)
	if diff := cmp.Diff(served, documented); diff != "" {
		t.Errorf("served (-) and documented (+) differ; fix the comments of the handlers and run `make generate`:\n%s", diff)
	}
}

func TestRoutesEqualTheOperations(t *testing.T) {
	n := newNode(t, nil)
	var want, got []string
	for _, op := range n.server.operations() {
		for _, path := range op.paths() {
			want = append(want, op.method+" "+path)
		}
	}
	for _, r := range n.server.newEcho().Routes() {
		if page := r.Path == "/console" || r.Path == "/console/*"; !page && !strings.HasPrefix(r.Path, "/swagger") {
			got = append(got, r.Method+" "+r.Path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryOperationIsDocumented(t *testing.T) {
	for path, operations := range readSwagger(t, swaggerFile).Paths {
		for method, op := range operations {
			if op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s %s: got summary %q and tags %v", method, path, op.Summary, op.Tags)
			}
			wanted := []string{"401", "403", "429", "500"}
			if method == "post" {
				wanted = append(wanted, "400", "413", "415", "422")
			}
			for _, code := range wanted {
				if _, ok := op.Responses[code]; !ok && strings.HasPrefix(path, "/v3") {
					t.Errorf("%s %s: status %s is not documented", method, path, code)
				}
			}
			for code, r := range op.Responses {
				if r.Description == "" {
					t.Errorf("%s %s: status %s has no description", method, path, code)
				}
			}
		}
	}
}

// TestSwaggerIsUpToDate runs the generator as go:generate does, elsewhere.
func TestSwaggerIsUpToDate(t *testing.T) {
	source, err := os.ReadFile("api.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(source), "//go:generate ")
	line, _, _ := strings.Cut(rest, "\n")
	out := t.TempDir()
	command := strings.Fields(strings.Replace(line, "./swagger", out, 1))
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, text)
	}
	fresh, err := os.ReadFile(filepath.Join(out, "swagger.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(fresh, swaggerFile) {
		t.Error("swagger/swagger.json is not what the comments say: run `make generate`")
	}
}

func TestSwaggerDocument(t *testing.T) {
	n := newNode(t, nil)
	got := n.call("GET", "/swagger/doc.json", "")
	s := readSwagger(t, got.body)
	if got.status != 200 || s.Info.Version != "1.2.3-test" || s.BasePath != "" || s.Host != "" {
		t.Errorf("got %d, version %q, basePath %q, host %q", got.status, s.Info.Version, s.BasePath, s.Host)
	}
	want := map[string]struct{ Type, Name, In string }{
		"api_key": {"apiKey", "Authorization", "header"}, "cli_key": {"apiKey", "Authorization", "header"},
	}
	if diff := cmp.Diff(want, s.Security); diff != "" {
		t.Error(diff)
	}
}

func TestSwaggerUI(t *testing.T) {
	n := newNode(t, nil)
	for _, path := range []string{"/swagger", "/swagger/"} {
		got := n.call("GET", path, "")
		if got.status != 302 || got.header.Get("Location") != "/swagger/index.html" {
			t.Errorf("%s: got %d to %q", path, got.status, got.header.Get("Location"))
		}
	}
	if got := n.call("GET", "/swagger/index.html?urls.primaryName=x", ""); got.status != 200 {
		t.Errorf("the page with a query: got %d, want 200", got.status)
	}
	page := n.call("GET", "/swagger/index.html", "")
	if page.status != 200 || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") ||
		!bytes.Contains(page.body, []byte(`"doc.json"`)) || bytes.Contains(page.body, []byte("doc.yaml")) {
		t.Errorf("got %d %s: %s", page.status, page.header.Get("Content-Type"), page.body)
	}
	for _, attribute := range []string{`src="http`, `href="http`, `src="//`, `href="//`} {
		if bytes.Contains(page.body, []byte(attribute)) {
			t.Errorf("the page loads from elsewhere: %s", attribute)
		}
	}
	for _, asset := range []string{"swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-32x32.png"} {
		if !bytes.Contains(page.body, []byte(asset)) {
			t.Errorf("the page does not use %s", asset)
		}
		got := n.call("GET", "/swagger/"+asset, "")
		if got.status != 200 || len(got.body) == 0 || got.header.Get("Content-Security-Policy") != contentPolicy {
			t.Errorf("%s: got %d, %d bytes", asset, got.status, len(got.body))
		}
	}
}

// TestExamplesCanBeSent decodes and checks every example like a request.
func TestExamplesCanBeSent(t *testing.T) {
	var bodies map[string]json.RawMessage
	if err := json.Unmarshal(swaggerExamples, &bodies); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, nil)
	var served struct {
		Definitions map[string]struct{ Example json.RawMessage } `json:"definitions"`
	}
	n.call("GET", "/swagger/doc.json", "").into(200, &served)
	for name, send := range map[string]string{
		"OpenConnection": "/v3/open_connection/", "TicketRequest": "/v3/tickets/", "DisconnectRequest": "/v3/disconnect/",
		"DrainRequest": "/v3/drain/", "settingsdb.Settings": "/v3/change_settings/",
	} {
		if len(served.Definitions[name].Example) == 0 {
			t.Errorf("%s: the served file has no example", name)
		}
		// 403: the VM of the examples is no target of the tests.
		if got := n.holder(send, string(bodies[name])); got.status != 200 && got.status != 403 {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
		delete(bodies, name)
	}
	for name := range bodies {
		t.Errorf("an example of %s, which nothing sends", name)
	}
}
