package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"vdi-gateway/tests/browser"
)

// contrast gives, for a pair of the page's colours, how well one is read upon the
// other (WCAG 2, 1.4.3).
const contrast = `(pair => {
	const probe = document.body.appendChild(document.createElement('i'));
	const light = name => {
		probe.style.color = 'var(--' + name + ')';
		const [r, g, b] = getComputedStyle(probe).color.match(/\d+/g).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
		return .2126 * r + .7152 * g + .0722 * b;
	};
	const [a, b] = pair.map(light).sort((x, y) => y - x);
	probe.remove();
	return (a + .05) / (b + .05);
})`

func TestColoursCanBeRead(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	for _, scheme := range []string{"light", "dark"} {
		b.Scheme(t, scheme)
		open(t, b, g.URL+"/console/")
		reaches(t, b, "ended")
		for _, pair := range []string{"ink/card", "dim/card", "ink/ground", "dim/ground", "ground/ink", "on-down/down", "warn/card", "bad/card", "bad/soft", "good/card", "ink/soft", "down/card"} {
			text, ground, _ := strings.Cut(pair, "/")
			got := number(t, b.Eval(t, fmt.Sprintf("%s(['%s', '%s'])", contrast, text, ground)))
			if got < 4.5 {
				t.Errorf("%s: %s on %s has a contrast of %.1f, want 4.5", scheme, text, ground, got)
			}
		}
	}
}

// TestEverythingHasAName asks as a screen reader does.
func TestEverythingHasAName(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	press(t, b, "do-keys")
	seen := map[string]bool{}
	for _, n := range browser.Call(t, b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		role := strings.Trim(string(n.Role.Value), `"`)
		name := ""
		if n.Name != nil {
			name = strings.Trim(string(n.Name.Value), `"`)
		}
		seen[role+" "+name] = true
		switch role {
		case "button", "textbox", "application", "toolbar", "radio", "group", "dialog":
			if name == "" {
				t.Errorf("a %s has no name", role)
			}
		}
	}
	for _, want := range []string{
		"toolbar Console", "button Full screen", "button Keys", "button Ctrl, hold down", "button Left", "button Hide the tools",
		"application Desktop Sample desktop. Ctrl+Alt+Shift leaves it.",
	} {
		if !seen[want] {
			t.Errorf("there is no %q", want)
		}
	}
}

// What changes by itself is read out.
func TestWhatHappensIsSaid(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	for _, id := range []string{"told", "note", "clip-told"} {
		if got := b.Eval(t, "document.getElementById('"+id+"').getAttribute('role')"); got != "status" {
			t.Errorf("#%s has role %q, want status", id, got)
		}
	}
	g.refuse("/console/resume", refusal{403, ""})
	g.cut()
	reaches(t, b, "ended")
	if got := focus(t, b); got != "card" {
		t.Errorf("the focus is at %s, want what has happened", got)
	}
}

func TestReducedMotion(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	browser.Call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}})
	g.pause(true)
	open(t, b, g.page())
	reaches(t, b, "drawing")
	if got := b.Eval(t, "document.getAnimations().filter(a => a.playState === 'running').length"); got != "0" {
		t.Errorf("%s things move", got)
	}
	g.pause(false)
	reaches(t, b, "live")
	press(t, b, "handle")
	if got := b.Eval(t, "document.getAnimations().length"); got != "0" {
		t.Errorf("%s things move", got)
	}
}

func TestWithoutJavaScript(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	browser.Call(t, b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	open(t, b, g.page())
	b.Shot(t, "without-javascript")
	text, err := chromedp.Run(b.Context(), chromedp.Text(chromedp.CSS("noscript")))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"needs JavaScript", "нужен JavaScript"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %q, want it to say %q", text, want)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, fresh := range g.tickets {
		if !fresh {
			t.Error("the ticket is spent")
		}
	}
}
