"""Labels with which programs name themselves, their models and their runs in the journal."""

import re

LABEL_LENGTH = 64
LABEL_CHARACTERS = "A-Za-z0-9._:/@+-"
"""In the syntax of a regular expression's character class."""
LABEL_PATTERN = f"[{LABEL_CHARACTERS}]{{1,{LABEL_LENGTH}}}"
LABEL = re.compile(LABEL_PATTERN)
