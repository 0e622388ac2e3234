"""The edge on Cloudflare, declared: storage, Workers, their routes and the addresses of TCP workloads.

``workers/bindings.json`` is the authority on what is deployed: scripts, what each binds, its Durable Object classes, crons and routes.
"""
