"""Labels of programs, models and runs in the journal."""

import re

LABEL_LENGTH = 64
LABEL_CHARACTERS = "A-Za-z0-9._:/@+-"
"""Characters of a label, in the syntax of a regular expression's character class."""
LABEL_PATTERN = f"[{LABEL_CHARACTERS}]{{1,{LABEL_LENGTH}}}"
LABEL = re.compile(LABEL_PATTERN)
