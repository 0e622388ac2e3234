"""``python -m automation``: the automation service (API and scheduler) in the foreground; ``python -m automation edge up`` deploys the edge,
``python -m automation preflight`` examines what the first move needs, before there is an edge or a service."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from pydantic import ValidationError

from automation.edge_stack import operate
from automation.errors import AutomationError
from automation.settings import AutomationSettings
from spotlane.errors import SpotlaneError


def main(argv: list[str] | None = None) -> int:
    """Exit code 2 for a wrong environment or a setting that can't hold now, 0 after a stop."""
    parser = argparse.ArgumentParser(prog="python -m automation", description="Spotlane's automation service: runs, feeds, the rebalancing daemon.")
    parser.add_argument("--home", type=Path, help="state directory (SPOTLANE_HOME)")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("what", nargs="?", choices=["serve", "edge", "preflight"], default="serve")
    parser.add_argument("operation", nargs="?", choices=["up", "preview", "destroy"], default="up", help="for the edge's stack")
    arguments = parser.parse_args(argv)
    if arguments.home:
        os.environ["SPOTLANE_HOME"] = str(arguments.home.resolve())
    _logs()
    try:
        settings = AutomationSettings()  # type: ignore[call-arg]  # filled from the environment
        if arguments.what == "edge":
            return operate(settings, arguments.operation, as_json=arguments.json)
        return _examine(settings, as_json=arguments.json) if arguments.what == "preflight" else _serve(settings)
    except ValidationError as error:
        for fault in error.errors():
            name = "SPOTLANE_" + ".".join(str(part) for part in fault["loc"]).upper()
            sys.stderr.write(f'error: {name}: {fault["msg"]}; on the local cloud run `eval "$(spotlane local env)"`\n')
        return 2
    except (AutomationError, SpotlaneError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _serve(settings: AutomationSettings) -> int:
    import uvicorn  # with the next one seconds of import that the edge's operations don't need

    from automation import tracing
    from automation.bootstrap import bootstrap

    tracing.configure(os.environ)
    service = bootstrap(settings)
    address = urlsplit(settings.automation_url)
    service.start()
    try:
        uvicorn.run(service.api, host=address.hostname or "127.0.0.1", port=address.port or 7701, log_level="warning", access_log=False)
    finally:
        service.close()
    return 0


def _examine(settings: AutomationSettings, *, as_json: bool) -> int:
    """Exit code 1 where something that nothing can be made without is missing."""
    from automation.bootstrap import examine  # as above
    from spotlane.cli import doctor, output

    found = examine(settings)
    if as_json:
        output.document({"preflight": found.model_dump(mode="json", by_alias=True)})
    else:
        doctor.show(found, None)
    return 0 if found.ready else 1


def _logs() -> None:
    """JSON lines on standard error."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
