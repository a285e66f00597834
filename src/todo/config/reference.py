"""Reference of all options, rendered from the settings."""

from todo.config.assistant_settings import AssistantSettings
from todo.config.settings import PREFIX, Settings


def render_options() -> str:
    """Render all options with defaults and descriptions as a Markdown table."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    # pydantic lists the fields of a base class first; general options should precede them.
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
