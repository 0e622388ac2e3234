"""How the service itself asks the clouds: one HTTP stack, signatures, the platform's own identities. Every call goes through the inline proxy."""
