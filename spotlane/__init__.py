"""Spotlane's SDK: clients of the edge API and the automation service (:mod:`spotlane.client`), and the models that travel (:mod:`spotlane.wire`)."""

__version__ = "0.1.0"
