import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.errors import DeployError, ExitCode
from deploy.units.parser import Assignment, SourceLocation, Unit, literal, parse_unit, split_words

FILE = "quadlet/x.container"


def values_of(text: str, key: str = "Key", drop_ins: tuple[tuple[str, str], ...] = ()) -> list[str]:
    return [each.value for each in parse_unit(FILE, text, drop_ins).find_all("S", key)]


def assignment(value: str) -> Assignment:
    return Assignment("S", "Key", value, SourceLocation(FILE, 7))


def failure(text: str) -> str:
    with pytest.raises(DeployError) as caught:
        parse_unit(FILE, text)
    assert caught.value.code == ExitCode.DATA
    assert caught.value.hint
    return caught.value.message


def test_comments_and_blank_lines_say_nothing() -> None:
    assert values_of("# a\n; b\n\n[S]\n  # c\nKey=1\n") == ["1"]


def test_space_around_key_and_value_does_not_count() -> None:
    assert values_of("[S]\n \tKey \t= a b \t\n") == ["a b"]


def test_a_value_may_hold_an_equals_sign() -> None:
    assert values_of("[S]\nKey=a=b\n") == ["a=b"]


def test_windows_line_ends_are_fine() -> None:
    assert values_of("[S]\r\nKey=1 \\\r\n2\r\n") == ["1 2"]


def test_a_continued_line_is_one_assignment_at_its_first_line() -> None:
    unit = parse_unit(FILE, "[S]\n\nKey=a \\\n  b \\\nc\nNext=1\n")
    assert [(each.key, each.value, each.place.line) for each in unit.assignments] == [
        ("Key", "a b c", 3),
        ("Next", "1", 6),
    ]


def test_a_comment_inside_a_continued_line_is_skipped() -> None:
    assert values_of("[S]\nKey=a \\\n# no\n; nor this\nb\n") == ["a b"]


def test_repeated_keys_add_up() -> None:
    assert values_of("[S]\nKey=1\nOther=x\nKey=2\n") == ["1", "2"]


def test_an_empty_assignment_resets_the_list() -> None:
    assert values_of("[S]\nKey=1\nKey=2\nKey=\nKey=3\n") == ["3"]


def test_the_last_of_single_values_counts_and_an_empty_one_unsets_it() -> None:
    unit = parse_unit(FILE, "[S]\nKey=1\nKey=2\nGone=1\nGone=\n")
    found = unit.find("S", "Key")
    assert found is not None
    assert (found.value, unit.find("S", "Gone")) == ("2", None)


def test_a_section_may_come_twice_and_keys_belong_to_their_section() -> None:
    assert values_of("[S]\nKey=1\n[T]\nKey=2\n[S]\nKey=3\n") == ["1", "3"]


def test_drop_ins_are_merged_in_the_order_of_their_names() -> None:
    drop_ins = (
        ("quadlet/x.container.d/20-b.conf", "[S]\nKey=b\n"),
        ("quadlet/x.container.d/10-a.conf", "[S]\nKey=\nKey=a\n"),
    )
    assert values_of("[S]\nKey=1\n", drop_ins=drop_ins) == ["a", "b"]


def test_a_drop_in_is_named_in_its_own_errors() -> None:
    with pytest.raises(DeployError, match=r"^quadlet/x\.container\.d/10-a\.conf:2: "):
        parse_unit(FILE, "[S]\n", [("quadlet/x.container.d/10-a.conf", "[S]\nKey\n")])


def test_a_unit_knows_its_stem_and_suffix() -> None:
    unit = Unit("quadlet/todo-db.container", ())
    assert (unit.name, unit.stem, unit.suffix) == ("todo-db.container", "todo-db", "container")


def test_a_missing_key_is_named_with_its_file() -> None:
    with pytest.raises(DeployError, match=r"quadlet/x\.container: Key= is missing in \[S\]"):
        Unit(FILE, ()).get("S", "Key")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[S]\nKey\n", f"{FILE}:2: neither a comment, a section nor Key=value: Key"),
        ("[S]\n=1\n", f"{FILE}:2: neither a comment, a section nor Key=value: =1"),
        ("[S]\nK y=1\n", f"{FILE}:2: neither a comment, a section nor Key=value: K y=1"),
        ("Key=1\n", f"{FILE}:1: Key= is before the first section"),
        ("[S\nKey=1\n", f"{FILE}:1: malformed section header [S"),
        ("[]\n", f"{FILE}:1: malformed section header []"),
        ("[S]\nKey=a\\\nb\n", f"{FILE}:2: no space before the backslash that continues the line"),
        ("[S]\nKey=a \\\n\nb\n", f"{FILE}:3: an empty line inside a continued line"),
        ("[S]\nKey=a \\\n", f"{FILE}:2: the file ends inside a continued line"),
        ("[S]\nKey=a\0\n", f"{FILE}:2: a NUL character"),
        ("[S]\nKey=a \\ \nb\n", f"{FILE}:2: a space after the backslash that ends the line"),
        ("[S]\nKey=a \\\t\r\nb\n", f"{FILE}:2: a space after the backslash that ends the line"),
        ("[S]\nKey=a\\  \nb\n", f"{FILE}:2: a space after the backslash that ends the line"),
        ("[S]\nKey=a \\\n b \\ \nc\n", f"{FILE}:3: a space after the backslash that ends the line"),
        ("[S]\nKey=a\rOther=b\n", f"{FILE}:2: a carriage return inside the line"),
        ("[S]\nKey=a \\\r\r\nb\n", f"{FILE}:2: a space after the backslash that ends the line"),
        (
            "\ufeff[S]\n",
            f"{FILE}:1: an unusual white-space character or a byte order mark at the start",
        ),
        ("[S]\nKey=a\u00a0\n", f"{FILE}:2: an unusual white-space character or a byte order mark"),
        ("[S]\n\vKey=a\n", f"{FILE}:2: an unusual white-space character or a byte order mark"),
        ("[S]\nKey=\fa\n", f"{FILE}:2: Key= starts with an unusual white-space character"),
        ("[S]\nKey='a \\\n b'\n", f"{FILE}:2: the quote ' is still open where the line is"),
        ('[S]\nKey="a\\"b \\\n c"\n', f'{FILE}:2: the quote " is still open where'),
        (f"[S]\nKey={'a' * 1_048_576}\n", f"{FILE}:2: a line of more than a megabyte"),
    ],
)
def test_malformed_text_is_refused_with_file_and_line(text: str, message: str) -> None:
    assert failure(text).startswith(message)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", ()),
        ("a  b\tc", ("a", "b", "c")),
        ("'a b' \"c d\"", ("a b", "c d")),
        ('"it\'s" \'so "said"\'', ("it's", 'so "said"')),
        ('a"b c"d', ("ab cd",)),
        ('"" x', ("", "x")),
        (r"a\sb \x41 \101 \u00e4 \"q\" \\", ("a b", "A", "A", "ä", '"q"', "\\")),
    ],
)
def test_words_are_split_as_systemd_does(value: str, words: tuple[str, ...]) -> None:
    assert words == split_words(assignment(value))


@pytest.mark.parametrize("value", ["'a", 'a "b', "a\\", r"\q", r"\x4", r"\xff", r"\000", r"\ud800"])
def test_broken_quoting_is_refused_with_file_and_line(value: str) -> None:
    with pytest.raises(DeployError, match=r"^quadlet/x\.container:7: Key="):
        split_words(assignment(value))


def test_doubled_percent_and_dollar_are_the_character_itself() -> None:
    assert literal(assignment(""), "100%% $$HOME") == "100% $HOME"


@pytest.mark.parametrize(
    ("text", "name"), [("a%h", "specifier %h"), ("%%%", "specifier %"), ("$HOME", "variable $H")]
)
def test_what_systemd_alone_can_expand_is_refused(text: str, name: str) -> None:
    with pytest.raises(DeployError, match=f"the {name.replace('$', '[$]')} is expanded by systemd"):
        literal(assignment(text), text)


KEYS = st.text(string.ascii_letters + string.digits, min_size=1).filter(
    lambda key: key[0] in string.ascii_letters
)
CONTENT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"))
VALUES = CONTENT.map(lambda value: value.strip().rstrip("\\").rstrip())


@given(st.lists(st.tuples(KEYS, VALUES)))
def test_what_is_written_is_read_back(pairs: list[tuple[str, str]]) -> None:
    text = "[S]\n" + "".join(f"# note\n{key} = {value}\n\n" for key, value in pairs)
    found = parse_unit(FILE, text).assignments
    assert pairs == [(each.key, each.value) for each in found]
    assert [3 * n + 3 for n in range(len(pairs))] == [each.place.line for each in found]


@given(st.lists(CONTENT))
def test_quoted_words_are_read_back(words: list[str]) -> None:
    escaped = [word.replace("\\", r"\\").replace('"', r"\"") for word in words]
    assert tuple(words) == split_words(assignment(" ".join(f'"{word}"' for word in escaped)))


@given(st.text())
def test_no_text_makes_the_parser_fail_in_another_way(text: str) -> None:
    try:
        for each in parse_unit(FILE, text).assignments:
            split_words(each)
            literal(each, each.value)
    except DeployError as error:
        assert error.code == ExitCode.DATA  # noqa: PT017 - no error at all is fine too


def as_systemd(text: str) -> list[tuple[str, list[str]]]:
    """Keys and the words of their values, as systemd's reader joins lines."""
    found, joined = [], ""
    for line in re.split("\r\n|\n|\r", text):
        if line.lstrip(" \t\r\n").startswith(("#", ";")):
            continue
        joined += line
        # A backslash at the end counts unless another one escapes it.
        if re.fullmatch(r"(?:[^\\]|\\.)*\\", joined, re.DOTALL):
            joined = joined[:-1] + " "
            continue
        key, equals, value = joined.partition("=")
        if equals:
            found.append((key.strip(" \t\r\n"), value.split()))
        joined = ""
    return found


def as_podman(text: str) -> list[tuple[str, list[str]]]:
    """The same, as Podman's reader does."""
    found, joined = [], ""
    for line in map(str.strip, text.split("\n")):
        if line.startswith(("#", ";")) or not line:
            continue
        joined += line
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        key, equals, value = joined.partition("=")
        if equals:
            found.append((key.rstrip(), value.split()))
        joined = ""
    return found


LINES = st.lists(
    st.sampled_from(
        [
            *(
                "Key=a",
                "Key = b c ",
                " Key=d \\",
                "Key=e\\",
                "Key=f \\ ",
                "Key=g \\\t",
                "Key=h \\\\",
            ),
            *(
                "  more",
                "more \\",
                "more\\ \\",
                "# note",
                "; note \\",
                "",
                "  ",
                "Key=",
                "Key=i \\\r",
            ),
            *("Key=j\rKey=k", "Key=l\u00a0", "\u2003Key=m", "Key=\vn", "Key=o\\\\ \\", "Key='p \\"),
            *("q'", "Key=\\", "\\", " \\", "Key=r \\\\\\", "\ufeffKey=s"),
        ]
    ),
    max_size=5,
)


@settings(max_examples=400)
@given(LINES)
def test_what_is_accepted_is_the_same_for_systemd_and_podman(lines: list[str]) -> None:
    text = "[S]\n" + "\n".join([*lines, "Last=z", ""])
    try:
        unit = parse_unit(FILE, text)
    except DeployError:
        return

    found = [(each.key, each.value.split()) for each in unit.assignments]
    assert found == as_systemd(text) == as_podman(text)
