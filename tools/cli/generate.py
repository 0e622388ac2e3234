"""``python tools/cli/generate.py [--check]``: the published JSON Schemas, from the wire models, into ``docs/schemas``.

``workload`` and ``tenant`` describe files, for editors; the others what each command's ``--json`` is. With ``--check`` nothing is written; exit code 1 where a
file differs from what it should be, or belongs to no command.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from spotlane.cli import answers
from spotlane.manifest import schemas

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def wanted() -> dict[str, str]:
    """Each file's text by its name."""
    documents = {f"{name}.schema.json": made for name, made in schemas().items()}
    documents |= {f"output.{command.replace(' ', '-')}.schema.json": answers.schema(command) for command in answers.ANSWERS}
    return {name: json.dumps(made, indent=1, sort_keys=True) + "\n" for name, made in documents.items()}


def main(argv: list[str]) -> int:
    """Writes or checks."""
    texts = wanted()
    stale = [name for name, text in texts.items() if not (FOLDER / name).exists() or (FOLDER / name).read_text() != text]
    foreign = sorted(path.name for path in FOLDER.glob("*.schema.json") if path.name not in texts)
    if "--check" in argv:
        for name in [*stale, *foreign]:
            sys.stderr.write(f"error: docs/schemas/{name} is not what spotlane/cli/answers.py says; run `python tools/cli/generate.py`\n")
        return 1 if stale or foreign else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(texts[name])
    for name in foreign:
        (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
