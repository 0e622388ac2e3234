"""The audit trail: append-only JSON lines, hash-chained, with signed heads. ``python -m policies.audit verify|query``."""
