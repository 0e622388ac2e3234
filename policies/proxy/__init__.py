"""The inline proxy: every cloud API call is read, judged by its tenant's boundary, recorded, and only then passed on. It fails closed."""
