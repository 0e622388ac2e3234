"""The data boundary: one definition of where and how a tenant's workloads may run, decided by one function for every enforcer."""
