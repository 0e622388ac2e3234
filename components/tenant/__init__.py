"""A tenant's own account, subscription and project, with the guard rails that its boundary asks of the clouds themselves."""
