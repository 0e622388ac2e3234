"""What the service asks of tenants' accounts itself, beside the engine: what lies there, and that it be removed. Every call goes through the inline proxy."""
