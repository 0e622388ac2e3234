"""Azure Resource Manager: the types in use, in their wire format, over one document store."""
