package config

// serveSettings are those of the API's keys, TLS and limits.
var serveSettings = []Setting{
	text("serve.unprotected", "MILLSTREAM_UNPROTECTED", nil, "", "let others reach the API without keys: whoever does may read and write", func(c *Config) any { return &c.Serve.Unprotected }),
	text("serve.tls.cert_file", "MILLSTREAM_TLS_CERT_FILE", nil, "", "PEM file of the API's certificate and its chain: then it speaks TLS; read again when it changes", func(c *Config) any { return &c.Serve.TLSCertFile }),
	text("serve.tls.key_file", "MILLSTREAM_TLS_KEY_FILE", nil, "", "PEM file of the certificate's key", func(c *Config) any { return &c.Serve.TLSKeyFile }),
	text("serve.jwt.jwks", "MILLSTREAM_JWT_JWKS", nil, "", "key set (JWKS) of the issuer whose tokens are taken in place of API keys: an https address, or a file", func(c *Config) any { return &c.Serve.JWT.Keys }),
	text("serve.jwt.issuer", "MILLSTREAM_JWT_ISSUER", nil, "", "the `iss` that a token must have", func(c *Config) any { return &c.Serve.JWT.Issuer }),
	text("serve.jwt.audience", "MILLSTREAM_JWT_AUDIENCE", nil, "", "the `aud` that a token must have", func(c *Config) any { return &c.Serve.JWT.Audience }),
	text("serve.jwt.scope_claim", "MILLSTREAM_JWT_SCOPE_CLAIM", nil, "", "the claim that holds a token's scopes: ingest, read, admin", func(c *Config) any { return &c.Serve.JWT.Claim }),
	text("serve.cors_origins", "MILLSTREAM_CORS_ORIGINS", nil, "", "origins whose pages may call the API from a browser, https://host, separated by commas; empty for none", func(c *Config) any { return &c.Serve.Origins }),

	text("serve.key_rate", "MILLSTREAM_KEY_RATE", nil, "", "requests per second of an API key that has no rate of its own; 0: any number", func(c *Config) any { return &c.Serve.Limits.KeyRate }),
	text("serve.address_rate", "MILLSTREAM_ADDRESS_RATE", nil, "", "requests per second of one address but loopback; 0: any number", func(c *Config) any { return &c.Serve.Limits.AddressRate }),
	text("serve.max_connections", "MILLSTREAM_MAX_CONNECTIONS", nil, "", "connections of clients at once; further ones wait", func(c *Config) any { return &c.Serve.Limits.Connections }),
	text("serve.max_connections_per_address", "MILLSTREAM_MAX_CONNECTIONS_PER_ADDRESS", nil, "", "connections of one address but loopback; further ones are closed", func(c *Config) any { return &c.Serve.Limits.ConnectionsEach }),
	text("serve.max_streams", "MILLSTREAM_MAX_STREAMS", nil, "", "connections that stream changes at once", func(c *Config) any { return &c.Serve.Limits.Streams }),
	text("serve.max_header_bytes", "MILLSTREAM_MAX_HEADER_BYTES", nil, "", "longest header of a request, its address included", func(c *Config) any { return &c.Serve.Limits.HeaderBytes }),
	text("serve.max_body_bytes", "MILLSTREAM_MAX_BODY_BYTES", nil, "", "longest body of a request, also unpacked", func(c *Config) any { return &c.Serve.Limits.BodyBytes }),
	text("serve.max_rows", "MILLSTREAM_MAX_ROWS", nil, "", "most rows of one answer, the rest by the link to the next page; 0: as many as there are", func(c *Config) any { return &c.Serve.Limits.Rows }),
	text("serve.header_timeout", "MILLSTREAM_HEADER_TIMEOUT", nil, "", "how long a client may take to send its header", func(c *Config) any { return &c.Serve.Limits.HeaderTimeout }),
	text("serve.request_timeout", "MILLSTREAM_REQUEST_TIMEOUT", nil, "", "how long a client may take to send header and body", func(c *Config) any { return &c.Serve.Limits.RequestTimeout }),
	text("serve.write_timeout", "MILLSTREAM_WRITE_TIMEOUT", nil, "", "how long a client may take nothing of an answer", func(c *Config) any { return &c.Serve.Limits.WriteTimeout }),
	text("serve.idle_timeout", "MILLSTREAM_IDLE_TIMEOUT", nil, "", "how long a kept connection may be silent", func(c *Config) any { return &c.Serve.Limits.IdleTimeout }),
	text("serve.statement_timeout", "MILLSTREAM_STATEMENT_TIMEOUT", nil, "", "how long PostgreSQL may work on a question; of a streamed answer, on each fetch", func(c *Config) any { return &c.Serve.Limits.StatementTimeout }),
	text("serve.answer_timeout", "MILLSTREAM_ANSWER_TIMEOUT", nil, "", "how long a whole answer may take", func(c *Config) any { return &c.Serve.Limits.AnswerTimeout }),
	text("serve.reader_connections", "MILLSTREAM_READER_CONNECTIONS", nil, "", "connections to PostgreSQL for the API's reads", func(c *Config) any { return &c.Serve.Limits.ReaderConnections }),
}
