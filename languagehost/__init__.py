"""A Pulumi language host for Python, in Python: spawned by the engine, or long-lived with the SDKs loaded (``python -m languagehost``)."""
