"""Known flaws of what is inside the images.

Its face is `gate`, which scans, `report`, which says what came of it, and `warning`, the one line
of `up`. The rest is theirs: what is inside (`inventory`), and who is asked about it. Nothing is
imported here, as `advisories` runs in an environment of its own.
"""
