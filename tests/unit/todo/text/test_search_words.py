"""Words of texts and queries: what finds what, without a database."""

import hashlib
import itertools
import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine_clock import CLOCK
from todo.text.search_words import (
    MAX_WORD_LENGTH,
    MAX_WORDS,
    OWNER_MARK,
    Term,
    fold,
    owner_term,
    parse_query,
    render_searched,
)

# With another case or another composition, without Hangul, which is composed by rule.
VARYING = [
    char
    for char in map(chr, itertools.chain(range(0xAC00), range(0xE000, sys.maxunicode + 1)))
    if char.swapcase() != char or char.title() != char or unicodedata.decomposition(char)
]
# Letters with more than one form, numbers that are no digits, marks, scripts without blanks.
RARE = st.sampled_from(
    "aIiİıßẞſſtΣσςΐŉǰʼᾳÅÅé\u0301\u0307\u0345½²①Ⅷ٣ﬁＡａｶﾞガ报告書のซื้อนมํำខ្មែរ한글ㄱ \u00ad\u200d-_,"
)
TEXTS = st.text(RARE | st.characters(exclude_categories=["Cs"]), max_size=30)


def matches(title: str, query: str, *, description: str | None = None) -> bool:
    """Return whether a query finds a task, as a database compares them; its index must agree."""
    searched = render_searched("alice", title, description)
    asked = parse_query(query)
    assert asked is not None, query
    found = all(piece in searched for piece in asked.pieces)
    words = searched.split()
    indexed = all(
        any(word.startswith(term.text) if term.is_prefix else word == term.text for word in words)
        for term in asked.terms
    )
    assert indexed or not found, "the index misses what matches"
    return found


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("Buy milk", "MI"),
        ("a & b | !c:* <-> (d)", "c d"),
        ("snake_case", "case"),
        ("it's", "it s"),
        ("Grüße", "GRÜ"),
        ("Grüße", "GRÜSSE"),
        ("ΟΔΟΣ", "οδος"),
        ("οδός ΣΟΦΟΣ", "σοφοσ"),
        ("İstanbul", "istanbul"),
        ("istanbul", "İSTANBUL"),
        ("ISPARTA", "ısparta"),
        ("Cafe\u0301", "café"),
        ("café", "CAFE\u0301"),
        ("Å", "\u212b"),
        ("recipe ½ cup", "½"),
        ("1½ cups", "½"),
        ("m² and m³", "m²"),
        ("item ① first", "①"),
        ("ＴＯＤＯ ２", "todo 2"),
        ("ｶﾞｽ", "ガス"),
        ("ﬁle", "file"),
        ("co\u00adop", "coop"),
        ("می\u200cخواهم", "میخواهم"),
        ("明日までに報告書を書く", "報告書"),
        ("明日までに報告書を書く", "明日"),
        ("明日までに報告書を書く", "書"),
        ("明日までに報告書を書く", "く"),
        ("明日までに報告書を書く", "報告書 明日"),
        ("iPhone版を買う", "iphone版"),
        ("iPhone版を買う", "版 iph"),
        ("3月15日", "3月"),
        ("2026年3月15日", "6年3月"),
        ("2026年3月15日", "2026"),
        ("2026年3月15日", "3月1"),
        ("2026年3月15日", "15"),
        ("2026 年 3 月 15 日", "2026年3月"),
        ("2026年3月15日", "2026 年"),
        ("2 牛奶", "牛奶 2"),
        ("iPhone15版", "15版"),
        ("iPhone15版", "iphone15版"),
        ("๑๒ มกราคม 2569", "2569"),
        ("ទិញ\u200bទឹក\u200bដោះគោ", "ទឹកដោះគោ"),
        ("ទិញទឹកដោះគោ", "ទឹក\u200bដោះ"),
        ("ซื้อ\u200bนม", "ซื้อนม"),
        ("zero\u200bwidth", "width"),
        ("報\u00ad告\ufe00書", "報告書"),
        ("報告\U000e0100書", "報告書"),
        ("報\u034f告書", "報告"),
        ("明日までに報告\r\n書を書く", "報告書"),
        ("明日までに報告\n書を書く", "報告書"),
        ("ꦱꦼꦭꦩꦠ꧀ꦲꦺꦚꦗꦁ", "ꦲꦺꦚꦗꦁ"),
        ("ᦟᦱᧃᦓᦱ", "ᦓᦱ"),
        ("ꪶꪕꪀꪫꪱꪣ", "ꪫꪱ"),
        ("ꀀꀁꀂ", "ꀁꀂ"),
        ("买牛奶和面包", "牛奶"),
        ("买牛奶和面包", "面包"),
        ("ซื้อนมพรุ่งนี้", "นม"),
        ("ซื้อนมพรุ่งนี้", "พรุ่งนี้"),
        ("회의보고서를 작성", "보고서 작성"),
        ("ទិញទឹកដោះគោ", "ទឹកដោះគោ"),
        ("हिन्दी सीखो", "हिन्दी सी"),
        ("日本語 🦊", "🦊 日本語"),
    ],
)
def test_a_query_finds_a_title(title: str, query: str) -> None:
    assert matches(title, query)
    assert matches("other", query, description=f"{title}, and more")


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("Buy milk", "uy"),
        ("Buy milk", "bu milk"),
        ("alpha beta", "½"),
        ("alpha beta", "alpha ½"),
        ("recipe ½ cup", "②"),
        ("recipe ½ cup", "²"),
        ("1 cup, 2 spoons", "½"),
        ("m2", "m²"),
        ("cafe", "café"),
        # All pairs are there, but not one after the other.
        ("報告の告書", "報告書"),
        ("報告 書", "報告書"),
        ("2026年3月", "6年4月"),
        ("2026年3月", "026"),
        ("2026年31月", "1"),
        ("報告書 210", "報告書 1"),
        ("นก มด", "นม"),
        ("alice", f"{owner_term('alice')} x"),
    ],
)
def test_a_query_does_not_find_a_title(title: str, query: str) -> None:
    assert not matches(title, query)


@pytest.mark.parametrize("query", ["", "  ?! ", "\u0301", "§", "🦊", "\0"])
def test_a_query_without_a_word(query: str) -> None:
    assert parse_query(query) is None


def test_characters_without_a_look_of_their_own_do_not_matter() -> None:
    # As DerivedCoreProperties.txt lists Default_Ignorable_Code_Point, samples of each range.
    for (
        char
    ) in "\u00ad\u034f\u061c\u115f\u17b4\u180e\u200e\u202a\u2064\u3164\ufe0f\uffa0\U000e0020":
        assert fold(f"mi{char}lk") == "milk", ascii(char)


def test_long_texts_of_digits_and_line_ends_cost_little() -> None:
    started = CLOCK.now()

    for text in ("1" * 10_000, "1月" * 5_000, "月\n" * 5_000, "月\u200b" * 5_000, "1 月 " * 2_500):
        render_searched("alice", "title", text)
        parse_query(text)

    assert CLOCK.now() - started < 2


def test_only_the_last_word_may_be_the_start_of_one() -> None:
    asked = parse_query("buy mi")

    assert asked is not None
    assert asked.terms == (Term("buy"), Term("mi", is_prefix=True))
    assert asked.pieces == (" buy ", " mi")


def test_words_and_terms_of_a_query_have_a_limit() -> None:
    many, long = parse_query("a b " * 100), parse_query("報告書を書く人の名前と住所を確認する" * 10)

    assert many is not None
    assert long is not None
    assert len(many.terms) <= MAX_WORDS
    assert len(long.terms) == MAX_WORDS
    assert len(long.pieces) == 1


def test_a_very_long_word_is_found_by_its_beginning() -> None:
    word = "a" * 10_000

    assert max(map(len, render_searched("alice", word, None).split())) == MAX_WORD_LENGTH
    assert matches(word, word[:200])
    assert matches(word, f"{word[:150]} a")


def test_the_words_of_the_title_come_before_the_owner() -> None:
    searched = render_searched("alice", "Buy milk", "from the shop")

    assert searched == f" buy milk {owner_term('alice')} from the shop "
    assert searched.count(OWNER_MARK) == 1


def test_marks_by_themselves_take_no_time() -> None:
    assert render_searched("alice", "\u0301" * 100_000, None).split() == [owner_term("alice")]


@pytest.mark.parametrize(
    "text",
    [
        "a" + "\u0300\u0323" * 50_000,
        # Without the joiner, or in its ordinary form, it is one run of marks.
        "a" + "\u0300\u0323\u200d" * 50_000,
        "a" + "\u0300\uff9e" * 50_000,
    ],
)
def test_many_marks_take_no_time(text: str) -> None:
    began = time.thread_time()
    render_searched("alice", text, None)
    # A hundred times what it takes; sorting the marks takes ten seconds.
    assert time.thread_time() - began < 2


def test_the_words_of_a_task_are_about_as_long_as_its_text() -> None:
    phrase = "\ufdfa"

    assert len(render_searched("alice", "t", phrase * 10_000)) < 10_000
    assert matches(f"mention of {phrase}", phrase)
    for char in VARYING:
        assert len(fold(char)) <= 4, ascii(char)


def test_every_character_folds_to_the_same_in_any_case_and_composition() -> None:
    for char in VARYING:
        forms = {char, char.upper(), char.lower(), char.title(), char.casefold()}
        forms |= {unicodedata.normalize(form, each) for form in ("NFC", "NFD") for each in forms}
        assert {fold(form) for form in forms} == {fold(char)}, ascii(char)
        assert fold(fold(char)) == fold(char), ascii(char)


@given(text=TEXTS)
def test_a_text_folds_to_the_same_in_any_case_and_composition(text: str) -> None:
    for other in (text.upper(), text.lower(), unicodedata.normalize("NFD", text)):
        assert fold(other) == fold(text)


@given(text=TEXTS)
def test_no_word_holds_what_a_database_would_interpret(text: str) -> None:
    words = render_searched("alice", text, None)[1:-1].split(" ")
    words.remove(owner_term("alice"))

    # The mark of a pair is as harmless as that of an owner.
    for word in (each.removeprefix("¦") for each in words):
        assert word
        assert all(unicodedata.category(char)[0] in "LNM" for char in word)
        assert word.isascii() is False or word.isalnum()


@given(before=TEXTS, text=TEXTS, after=TEXTS)
def test_a_text_finds_the_task_that_holds_it(before: str, text: str, after: str) -> None:
    if parse_query(text) is not None:
        assert matches(f"{before} {text} {after}", text)


@given(
    parts=st.tuples(*[st.text(st.sampled_from("明日報告書のก็นมあ한글"), max_size=6)] * 3),
)
def test_without_blanks_any_part_of_a_text_is_found(parts: tuple[str, str, str]) -> None:
    if parse_query(parts[1]) is not None:
        assert matches("".join(parts), parts[1])


def test_other_rules_for_words_have_a_revision_that_stores_them() -> None:
    titles = (
        *(
            "Buy milk",
            "it's 6,5 %",
            "GRÜẞE",
            "re\u0301sume\u0301",
            "İstanbul ıI",
            "ΟΔΟΣ",
            "ﬁn Ａｂ１",
        ),
        *("½ cup x²", "明日までに報告書を書く 2026年", "ซื้อนม", "한글 21月", "a\u00adb\u200bc"),
        "x" * 300,
    )
    words = "\n".join(render_searched("alice", title, title[::-1]) for title in titles)

    # Revision 0010. Other rules need a revision that makes the words of all tasks (docs/adr/0059).
    assert hashlib.sha256(words.encode()).hexdigest()[:16] == "864eedd720b13101"
