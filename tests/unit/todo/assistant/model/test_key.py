from pathlib import Path

import pytest

from todo.assistant.model.key import read_model_key
from todo.config.settings import Settings
from todo.core.exit import ExitCode, FatalError


def test_a_final_newline_is_not_part_of_a_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1\n")

    assert read_model_key(Settings(ai_key_file=tmp_path / "key")) == "sk-1"
    assert read_model_key(Settings()) is None


@pytest.mark.parametrize("content", [None, b"", b"\n", b"sk-\xff", b"sesame one\n", b"a\nb"])
def test_a_file_that_holds_no_key_is_one_line_without_its_content(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(FatalError, match=r"^TODO_AI_KEY_FILE ") as caught:
        read_model_key(Settings(ai_key_file=path))

    assert caught.value.code == ExitCode.SECRET
    assert "sesame" not in caught.value.message
