"""The reference of all options, rendered from the settings."""

from todo.config.assistant_settings import AssistantSettings
from todo.config.settings import PREFIX, Settings


def render_options() -> str:
    """Return every option, its default and its meaning as a Markdown table."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    # Fields of a base class come first; what every service needs is to come first.
    of_assistant = AssistantSettings.model_fields.keys()
    for name, field in sorted(
        Settings.model_fields.items(), key=lambda each: each[0] in of_assistant
    ):
        default = field.default
        if isinstance(default, bool):
            default = str(default).lower()
        shown = f"`{default}`" if default not in {None, "", ()} else "none"
        rows.append(f"| `{PREFIX}{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"
