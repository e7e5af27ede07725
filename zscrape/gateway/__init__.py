"""The process with the HTTP API and the ROUTER socket."""
