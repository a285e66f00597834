"""The reference of all options, rendered from the settings."""

from todo.config.settings import PREFIX, Settings


def render_options() -> str:
    """Return every option, its default and its meaning as a Markdown table."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, bool):
            default = str(default).lower()
        shown = f"`{default}`" if default not in {None, "", ()} else "none"
        rows.append(f"| `{PREFIX}{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"
