//go:build unix

package proxy

// envoy returns Envoy, which passes requests on as they arrive. Debian does not have it.
func envoy() []kind {
	return []kind{{
		name:    "Envoy",
		setup:   "Set the `timeout` of the route to 0s (by default 15 seconds after the end of the request) and `stream_idle_timeout`; leave the buffer filter out.",
		program: "envoy", from: "Debian has no package; see its installation page", version: "--version",
		file: "envoy.yaml",
		args: []string{"--config-path", "FILE", "--log-level", "error", "--use-dynamic-base-id", "--concurrency", "1"},
		config: `
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: {{.Port}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: tus
          use_remote_address: true
          stream_idle_timeout: 60s
          route_config:
            virtual_hosts:
            - name: tus
              domains: ["*"]
              routes:
              - match: {prefix: "/"}
                route: {cluster: tus, timeout: 0s}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: tus
    type: STATIC
    connect_timeout: 5s
    load_assignment:
      cluster_name: tus
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: {{.BackendPort}}}}}
`,
	}}
}
