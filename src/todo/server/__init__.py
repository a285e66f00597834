"""HTTP server: sockets, connections, the fast path of HTTP/1.1, and Hypercorn (docs/http.md)."""
