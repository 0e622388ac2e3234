"""The month's report: what was saved, how available it was, whether it kept its boundary, and what an auditor can check.

Figures are pure; a page and rows show them.
"""
