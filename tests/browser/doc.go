// Package browser opens pages in a real Chromium for tests, sees what it
// complains about and takes pictures.
//
//	b := browser.New(t) // skips where Chromium is not installed
//	b.Scheme(t, "dark")
//	b.Do(t, chromedp.Navigate(url))
//	if got := b.Eval(t, "document.title"); got != want { ... }
//	for _, c := range b.Complaints(url) { t.Error(c) }
//
// It ends with its test, and a test fails when it does not. Whatever a page asks
// in a dialog of the browser is answered with yes, or a page that does not want
// to be left would hold up the test.
package browser
