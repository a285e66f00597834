"""Vulnerability scan of the images.

Other packages import `gate`, which scans, `report`, the result, and `up_notice`, the line that `up`
prints. The other modules are internal: `image_inventory` reads what is inside, and there is one
module for each source. Nothing is imported here, because `osv` runs in its own environment.
"""
