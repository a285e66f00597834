"""Vulnerability scan of the images.

Public modules: `gate` (the scan), `report` (its result) and `up_notice` (the notice of `up`). The
others are internal. This module imports nothing, because `osv` runs in its own environment.
"""
