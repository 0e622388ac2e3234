"""Cloudflare resources through its API v4."""
