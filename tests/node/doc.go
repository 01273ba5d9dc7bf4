// Package node runs the real vdi-gateway on a host of a lab network and talks
// to it as dispatcher and client do: by its command line and HTTP alone.
//
//	binary, err := node.Build(dir)
//	n, err := node.Start(host, node.Config{Binary: binary, DB: dir + "/settings.db"})
//	tunnel, err := n.Client(clientHost).Open(ctx, node.OpenRequest{VMAddress: "10.99.0.20", VMPort: 5900})
//
// A node ends when it is stopped, when its network is closed and when the
// process that started it ends.
package node
