"""Files of a checkout that are copied into the image as the program."""

import re
import subprocess
from pathlib import Path

from deploy.paths import REPO

PAGE = {"page.html", "app.js", "app.css"}


def test_a_file_of_the_build_has_the_same_mode_whatever_the_umask() -> None:
    lines = (REPO / "Containerfile").read_text().splitlines()
    written = [line for line in lines if line.startswith("COPY --from=locked")]
    kept = [line for line in written if "packages.json" not in line]
    assert kept
    assert all("--chmod=0644" in line for line in kept)


def test_the_image_has_the_modules_and_the_page_and_nothing_else_of_a_checkout(
    tmp_path: Path,
) -> None:
    program = tmp_path / "todo"
    for name in (*PAGE, "__init__.py", "notes.html", ".env", "app.js~", "sub/app.js"):
        path = program / "web" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (program / "page.html").touch()
    containerfile = (REPO / "Containerfile").read_text()
    (found,) = re.findall(r"RUN (find /opt/todo -type f .*?-delete)", containerfile, re.DOTALL)
    command = found.replace("\\\n", " ").replace("/opt/todo", str(tmp_path))

    subprocess.run(["sh", "-c", command], check=True)

    kept = {str(path.relative_to(program)) for path in program.rglob("*") if path.is_file()}
    assert kept == {f"web/{name}" for name in (*PAGE, "__init__.py")}
    shipped = {path.name for path in (REPO / "src/todo/web").iterdir() if path.suffix != ".py"}
    assert shipped - {"__pycache__"} == PAGE
