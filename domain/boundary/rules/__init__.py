"""One module a rule. A rule is a function of the compiled boundary and the call; :mod:`domain.boundary.decide` holds their order."""
