"""Audit of the Containerfile, the manifest and the units against known hardening rules.

Other packages import only `report`, which checks a whole checkout. `external` runs other checkers;
`rules` contains the rules for Quadlet units, without I/O.
"""
