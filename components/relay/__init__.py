"""The L4 relay of TCP mode B: stands between Spectrum and the machines and follows each workload's route. Only the standard library of Ubuntu 24.04's python3.

Shipped as a directory and run as ``python3 -m relay <settings.json>`` beside it; here it is ``python -m components.relay``.
"""
