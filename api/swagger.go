package api

import (
	_ "embed"
	"encoding/json"
	"io/fs"
	"net/http"

	"github.com/labstack/echo/v4"
	echoSwagger "github.com/swaggo/echo-swagger"
	swaggerFiles "github.com/swaggo/files/v2"
)

//go:embed swagger/swagger.json
var swaggerFile []byte

// swaggerExamples are bodies by the name of their definition, ready to be sent
// from the UI. The generator knows examples of fields only, and all fields at
// once are no request: selectors exclude each other.
//
//go:embed swagger/examples.json
var swaggerExamples []byte

// contentPolicy keeps the Swagger UI to files of this node. Its page has its
// script inside.
const contentPolicy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; " +
	"script-src 'self' 'unsafe-inline'; frame-ancestors 'none'"

// serveSwagger adds the Swagger UI and the file it shows.
func (s *Server) serveSwagger(e *echo.Echo, zip echo.MiddlewareFunc) {
	document := completed(swaggerFile, swaggerExamples, s.deps.Version)
	page := echoSwagger.EchoWrapHandler(func(c *echoSwagger.Config) { c.URLs = []string{"doc.json"} })
	index := func(c echo.Context) error { return c.Redirect(http.StatusFound, "/swagger/index.html") }
	e.GET("/swagger", index)
	e.GET("/swagger/", index)
	e.GET("/swagger/doc.json", func(c echo.Context) error {
		return c.JSONBlob(http.StatusOK, document)
	}, zip)
	e.GET("/swagger/*", func(c echo.Context) error {
		if !isAsset(c.Param("*")) {
			return echo.ErrNotFound
		}
		c.Response().Header().Set(echo.HeaderContentSecurityPolicy, contentPolicy)
		c.Request().RequestURI = c.Request().URL.Path // the UI looks for a file of this name, with a query in vain
		return page(c)
	}, zip)
}

func isAsset(name string) bool {
	info, err := fs.Stat(swaggerFiles.FS, name)
	return err == nil && info.Mode().IsRegular()
}

// completed adds to a Swagger file the version, which the UI shows beside the
// title, and examples of bodies. Both files are ours and tested: unreadable
// parts are left as they are.
func completed(file, examples []byte, version string) []byte {
	number, _ := json.Marshal(version) // strings always encode
	document := changed(file, "info", func(info []byte) []byte {
		return changed(info, "version", func([]byte) []byte { return number })
	})
	var bodies map[string]json.RawMessage
	_ = json.Unmarshal(examples, &bodies)
	return changed(document, "definitions", func(definitions []byte) []byte {
		for name, body := range bodies {
			definitions = changed(definitions, name, func(definition []byte) []byte {
				return changed(definition, "example", func([]byte) []byte { return body })
			})
		}
		return definitions
	})
}

// changed replaces one member of a JSON object.
func changed(object []byte, key string, change func([]byte) []byte) []byte {
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil || members == nil {
		return object
	}
	members[key] = change(members[key])
	text, err := json.Marshal(members)
	if err != nil {
		return object
	}
	return text
}
