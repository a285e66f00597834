"""Labels: what programs call themselves, their models and their runs, for the journal."""

import re

LABEL_LENGTH = 64
LABEL_CHARACTERS = "A-Za-z0-9._:/@+-"
"""As in a class of a regular expression."""
LABEL_PATTERN = f"[{LABEL_CHARACTERS}]{{1,{LABEL_LENGTH}}}"
LABEL = re.compile(LABEL_PATTERN)
