"""The clouds' HTTP APIs: AWS by moto behind a record, Azure and GCP in the wire format of the types in use."""
