"""The audit trail: append-only JSON lines, hash-chained, with signed heads. ``python -m audit verify|query``."""
