"""The audit: checks the files that decide how the service runs against known hardening rules.

Other packages import only `report`, which checks a whole checkout. `external` runs other checkers;
`rules` has the rules for Quadlet units, without I/O.
"""
