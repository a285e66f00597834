"""The HTTP server: sockets, connections, the HTTP/1.1 reader, Hypercorn for everything else."""
