"""For the tests of those who use Spotlane: a platform in memory that keeps state, and pytest fixtures over it (:mod:`spotlane.testing.plugin`).

    def test_my_deployment(spotlane_platform, spotlane_client):
        my_code.deploy(spotlane_client)
        assert spotlane_client.workload("web-acme").state == "RUNNING"

It answers by HTTP on loopback, with the wire models of the real API: the clients, the command line and other programs use it as they use a platform. What it
doesn't do: judge boundaries (say which regions a tenant may use by ``allow``), run machines, or take time.
"""

from spotlane.testing.platform import FakePlatform
from spotlane.testing.server import Served, serve

__all__ = ["FakePlatform", "Served", "serve"]
