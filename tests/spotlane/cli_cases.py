"""A run of each command against the furnished platform (:func:`tests.spotlane.cli_program.furnished`), for the goldens. A new command needs a line here."""

from __future__ import annotations

CASES: dict[str, tuple[str, ...]] = {
    "completion": ("completion", "bash"),
    "daemon": ("daemon", "windows", "--workload", "web-acme", "--only", "mon-fri 22:00-06:00 Europe/Berlin"),
    "doctor": ("doctor",),
    "explain": ("explain", "web-acme"),
    "forecast": ("forecast", "--month", "2026-03"),
    "init": ("init", "shop", "--name", "shop"),
    "key add": ("key", "add", "--tenant", "acme", "--scope", "tenant:read", "--name", "reader"),
    "key ls": ("key", "ls", "--tenant", "acme"),
    "key rm": ("key", "rm", "key_1", "--tenant", "acme"),
    "key rotate": ("key", "rotate"),
    "ledger": ("ledger",),
    "login": ("login", "--url", "@API@", "--key-stdin"),
    "logout": ("logout",),
    "logs": ("logs", "web-acme"),
    "migrate": ("migrate", "web-acme"),
    "open": ("open", "web-acme", "--url"),
    "plan": ("plan",),
    "prices": ("prices", "--limit", "3"),
    "prices feeds": ("prices", "feeds"),
    "report": ("report", "--month", "2026-03", "--out", "report"),
    "runs logs": ("runs", "logs", "run_1"),
    "runs ls": ("runs", "ls"),
    "runs show": ("runs", "show", "run_1"),
    "schema": ("schema", "tenant"),
    "status": ("status",),
    "tenant add": ("tenant", "add", "-f", "tenant.yaml"),
    "tenant ls": ("tenant", "ls"),
    "tenant rm": ("tenant", "rm", "empty"),
    "version": ("version",),
    "watch": ("watch", "--count", "1"),
    "workload apply": ("workload", "apply", "-f", "workload.yaml", "--wait"),
    "workload ls": ("workload", "ls"),
    "workload rm": ("workload", "rm", "api-acme"),
    "workload show": ("workload", "show", "web-acme"),
}
REFUSED: dict[str, tuple[str, ...]] = {"runs cancel": ("runs", "cancel", "run_1"), "runs retry": ("runs", "retry", "run_1")}
"""Commands that the furnished platform refuses: what they print is the refusal with its next step."""
PROGRAMS = frozenset({"local", "demo", "policies", "audit", "prices record"})
"""Other programs, which the command becomes: their pages are their own."""
STREAMS = frozenset({"logs", "runs logs", "watch"})
"""Their JSON is a document a line, or one for one look."""
