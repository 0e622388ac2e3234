"""What a resource's inputs say to the boundary's rules; the pack reads them from Pulumi's inputs, the proxy from requests brought into the same shape."""
