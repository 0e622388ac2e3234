"""GCP: network, identity and spot machine of one region."""
