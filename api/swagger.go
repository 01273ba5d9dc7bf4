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

// contentPolicy keeps the Swagger UI to files of this node. Its page has its
// script inside.
const contentPolicy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; " +
	"script-src 'self' 'unsafe-inline'; frame-ancestors 'none'"

// serveSwagger adds the Swagger UI and the file it shows.
func (s *Server) serveSwagger(e *echo.Echo, zip echo.MiddlewareFunc) {
	document := withVersion(swaggerFile, s.deps.Version)
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
		return page(c)
	}, zip)
}

func isAsset(name string) bool {
	info, err := fs.Stat(swaggerFiles.FS, name)
	return err == nil && info.Mode().IsRegular()
}

// withVersion sets the version of a Swagger file, which the UI shows beside the
// title. The file is ours and tested: it is returned as it is if unreadable.
func withVersion(file []byte, version string) []byte {
	var document, info map[string]json.RawMessage
	if json.Unmarshal(file, &document) != nil || json.Unmarshal(document["info"], &info) != nil {
		return file
	}
	info["version"], _ = json.Marshal(version) // strings always encode
	document["info"], _ = json.Marshal(info)
	changed, err := json.Marshal(document)
	if err != nil {
		return file
	}
	return changed
}
