"""Removal of secrets: by pattern, by the name of a variable, and by the values themselves."""

from __future__ import annotations

import pytest

from deploy.stack import redaction
from deploy.stack.redaction import HIDDEN, Redactor

KNOWN = frozenset({"TODO_BIND", "TODO_DATABASE_URL", "TODO_AI_KEY", "TODO_LOG_LEVEL"})
PLAIN = Redactor((), KNOWN, frozenset({"Exec=-m todo.admin migrate --wait 300"}))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bearer abc.def", "Bearer ***"),
        ("got eyJhbGciOiJIUzI1NiJ9.e30.c2ln!", "got ***!"),
        (f"todo_{'0a' * 16}_s3cret", f"todo_{'0a' * 16}_***"),
        ("postgresql://me:pa@ss:w@db/todo", "postgresql://me:***@db/todo"),
        ("postgresql://me@db/todo?password=x&a=b", "postgresql://me@db/todo?password=***&a=b"),
        ('{"api_key": "x", "a": 1}', '{"api_key": "***", "a": 1}'),
        ("POSTGRES_PASSWORD=x y", "POSTGRES_PASSWORD=*** y"),
        ("http://127.0.0.1:8000/a@b", "http://127.0.0.1:8000/a@b"),
        ("todo-token-secret is a name", "todo-token-secret is a name"),
    ],
)
def test_what_looks_like_a_secret_is_removed(text: str, shown: str) -> None:
    assert PLAIN.clean(text) == shown


def test_the_value_of_a_secret_is_removed_wherever_it_appears() -> None:
    assert Redactor(("hunter2",), KNOWN, frozenset()).clean("ran ./x hunter2") == "ran ./x ***"


def test_a_value_of_json_is_cleaned_in_depth_and_stays_json() -> None:
    found = {"a": ["x password=y", 1, None], "token": "t", "tokens": 5, "b": {"secret": None}}

    assert PLAIN.clean_json(found) == {
        "a": [f"x password={HIDDEN}", 1, None],
        "token": HIDDEN,
        "tokens": 5,
        "b": {"secret": None},
    }


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Environment=TODO_BIND=[::1]:1 A_KEY=x", "Environment=TODO_BIND=[::1]:1 A_KEY=***"),
        ("Environment=OTHER=x", "Environment=OTHER=***"),
        ('Environment="A=b', "Environment=***"),
        (
            "Environment=TODO_DATABASE_URL=postgresql://u:p@h/d",
            "Environment=TODO_DATABASE_URL=postgresql://u:***@h/d",
        ),
        ("Secret=todo-token-secret,type=mount", "Secret=todo-token-secret,type=mount"),
        ("MemoryMax=256M", "MemoryMax=256M"),
        ("PodmanArgs=--env A=b --memory=1g", "PodmanArgs=--env *** --memory=***"),
        ("SetCredential=id:x", "SetCredential=***"),
        ("Exec=-m todo.admin migrate --wait 300", "Exec=-m todo.admin migrate --wait 300"),
        ("Exec=serve --key x", "Exec=*** --key ***"),
        ("[Container]", "[Container]"),
        ("hunter2", "***"),
    ],
)  # fmt: skip
def test_a_unit_shows_what_is_known_to_be_harmless(line: str, shown: str) -> None:
    assert PLAIN.clean_unit(f"{line}\n") == f"{shown}\n"


def test_comments_are_left_out_since_people_keep_former_values_there() -> None:
    text = "# Environment=TODO_AI_KEY=old\n[Container]\n  ; x\nEnvironment=A=b \\\n# C=d\n  E=f\n"

    assert PLAIN.clean_unit(text) == "[Container]\nEnvironment=A=*** E=***\n"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("[7] todo@todo DETAIL:  Failing row contains (1, Call Bob)", "[7] todo@todo DETAIL: ***"),
        ("[7] todo@todo STATEMENT:  SELECT 'Call Bob'", "[7] todo@todo STATEMENT: ***"),
        ("\tFROM task", " ***"),
        ("[1] LOG:  ready", "[1] LOG:  ready"),
    ],
)
def test_a_log_shows_no_rows_of_the_database(message: str, shown: str) -> None:
    assert PLAIN.clean_log(message) == shown


def test_the_secrets_of_variables_are_what_is_not_shown_of_them() -> None:
    variables = {
        "TODO_AI_KEY": "k3y-value",
        "TODO_BIND": "127.0.0.1:8000",
        "TODO_DATABASE_URL": "postgresql://u:p%40ss@h/d?password=second",
        "SHORT_KEY": "abc",
        "PGUSER": "todo",
        "PGOPTIONS": "-c search_path=x",
        "SOME_TOKEN": "in the units",
    }

    found = set(redaction.find_values(variables, KNOWN, public="what is in the units of all"))

    assert found == {"k3y-value", "p%40ss", "p@ss", "second", "-c search_path=x"}


def test_the_secrets_in_a_unit_file_are_found_in_comments_and_options_too() -> None:
    text = (
        "#Environment=TODO_AI_KEY=former-key\nPodmanArgs=--env=A=with-equals -e B=with-blank\n"
        "SetCredential=id:a-credential\nSecret=only-a-name,type=env\n"
        "Environment='MY_TOKEN=quoted-one' SHORT_KEY=ab\n"
    )

    assert set(redaction.find_written(text)) == {
        *("former-key", "with-equals", "with-blank", "quoted-one"),
        *("a-credential", "id:a-credential"),
    }
