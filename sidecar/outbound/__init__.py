"""Our own calls, to identity providers and token endpoints; never the proxied traffic."""
