"""Reviews of proposed changes: what changes, what it costs, what the rules say, in forms for people and for pipelines. ``python -m policies.review``."""
