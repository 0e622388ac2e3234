"""Google Cloud resources through their REST APIs, as the bridged provider does."""
