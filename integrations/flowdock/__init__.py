"""Everything that talks to Flowdock: the OAuth backend, the client, the payloads of both API versions, the errors."""
