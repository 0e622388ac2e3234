"""Starts, watches and stops the processes of the local cloud (``python -m localcloud up|down|status|env|logs``)."""
