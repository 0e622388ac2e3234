"""The local cloud's Pulumi providers: aws, azure-native, gcp, cloudflare, attached by ``PULUMI_DEBUG_PROVIDERS``.

A resource's inputs are checked by the schema of the installed SDK and then become real calls of the cloud's API, through the inline proxy.
"""
