"""Google Cloud: Compute Engine, Resource Manager, Service Usage, IAM and Org Policy for the types in use, over one document store."""
