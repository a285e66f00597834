"""Each question is a statement that both databases' compilers take, with just its parameters."""

import dataclasses
import functools
import itertools
import operator
import re
from collections.abc import Iterable, Iterator

import pytest
from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql, sqlite

from todo.db.statement import Compiled
from todo.tasks import repository
from todo.tasks.page_sql import (
    NARROW,
    SCAN_BUDGET,
    WORDS_BUDGET,
    boundary_statement,
    count_statement,
    find_selective_condition,
    gather_statement,
    is_scanned,
    page_statement,
)
from todo.tasks.query_shape import QueryShape, Sort
from todo.tasks.search import search_params
from todo.text.search_words import owner_term, parse_query

DIALECTS: dict[str, Dialect] = {
    "postgresql": postgresql.dialect(paramstyle="pyformat"),  # type: ignore[no-untyped-call]
    "sqlite": sqlite.dialect(paramstyle="named"),
}
SORTS: tuple[Sort, ...] = ("created", "updated", "due", "priority", "title", "position")


def shapes() -> Iterator[QueryShape]:
    """Every combination of what a question asks by."""
    for sort, descending, after, status, in_list in itertools.product(
        SORTS, (True, False), (True, False), ("open", "completed", None), ("one", "none", "any")
    ):
        for parent, tags, priority, due, updated, search in itertools.product(
            (True, False), (0, 2), (True, False), ("window", "none", "any"), (True, False), (0, 1)
        ):
            yield QueryShape(
                sort=sort,
                descending=descending,
                after=after,
                status=status,  # type: ignore[arg-type]
                in_list=in_list,  # type: ignore[arg-type]
                parent=parent,
                tags=tags,
                priority=priority,
                due=due,  # type: ignore[arg-type]
                updated=updated,
                search=bool(search),
            )


@functools.cache
def sample() -> list[QueryShape]:
    """A few of them, so that each pair of values occurs."""
    sampled = list(itertools.islice(shapes(), 0, None, 487))  # a prime
    sizes = [len(set(column)) for column in columns(shapes())]
    found = [set(zip(*two, strict=True)) for two in itertools.combinations(columns(sampled), 2)]
    assert [len(pairs) for pairs in found] == [a * b for a, b in itertools.combinations(sizes, 2)]
    return sampled


def columns(questions: Iterable[QueryShape]) -> list[tuple[object, ...]]:
    """The values of each field, question by question."""
    fields = [field.name for field in dataclasses.fields(QueryShape)]
    return list(zip(*map(operator.attrgetter(*fields), questions), strict=True))


def expected_parameters(shape: QueryShape) -> set[str]:
    names = {"owner", "limit"}
    names |= {"list_id"} if shape.in_list == "one" else set()
    names |= {"parent_id"} if shape.parent else set()
    names |= {f"tag_{number}" for number in range(shape.tags)}
    names |= {"priority"} if shape.priority else set()
    names |= {"updated_since"} if shape.updated else set()
    names |= {"pieces"} if shape.search else set()
    if shape.due == "window":
        names |= {"date_from", "date_to", "at_from", "at_to"}
        names |= {"key_from", "key_to"} if shape.sort == "due" else set()
    if shape.after:
        names |= {"after_id"} | ({"after_key"} if shape.key != "id" else set())
    return names


def parameters(compiled: Compiled) -> set[str]:
    if compiled.order is None:
        return set(re.findall(r"(?<!:):(\w+)", read(compiled))) - set(compiled.constants)
    numbers = {int(number) for number in re.findall(r"\$(\d+)", read(compiled))}
    assert numbers == set(range(1, len(compiled.order) + 1))
    return set(compiled.order) - set(compiled.constants)


def read(compiled: Compiled) -> str:
    return compiled.text.decode() if isinstance(compiled.text, bytes) else compiled.text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_question_asks_for_its_values_and_no_others(dialect: str) -> None:
    for shape in sample():
        statement = page_statement(shape)
        compiled = statement.compile_for(DIALECTS[dialect])
        assert parameters(compiled) == expected_parameters(shape), shape
        if find_selective_condition(shape):
            gather = gather_statement(shape).compile_for(DIALECTS[dialect])
            # Within what a window's key may be is not asked twice.
            asked = expected_parameters(shape) - {"key_from", "key_to"}
            asked |= {"terms"} if shape.search else set()
            assert parameters(gather) == asked, shape
            assert NARROW + 1 in gather.constants.values(), shape
            count = count_statement(shape).compile_for(DIALECTS[dialect])
            assert parameters(count) <= asked, shape
        if is_scanned(shape):
            budget = WORDS_BUDGET if shape.search else SCAN_BUDGET
            assert budget in compiled.constants.values(), shape
            boundary = boundary_statement(shape).compile_for(DIALECTS[dialect])
            assert parameters(boundary) <= expected_parameters(shape), shape


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_search_by_relevance_ranks_a_bounded_number(dialect: str) -> None:
    compiled = page_statement(QueryShape(sort="relevance", search=True)).compile_for(
        DIALECTS[dialect]
    )

    assert parameters(compiled) == {"owner", "pieces", "limit"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_few_fields_are_read_as_few_columns(dialect: str) -> None:
    compiled = repository._find(("title",)).compile_for(DIALECTS[dialect])  # noqa: SLF001 - the whole of it

    assert parameters(compiled) == {"id", "user", "only_list"}
    assert "description" not in read(compiled)


def test_the_same_question_is_compiled_once() -> None:
    shape = QueryShape(status="completed")

    first = page_statement(shape).compile_for(DIALECTS["sqlite"])
    assert page_statement(QueryShape(status="completed")).compile_for(DIALECTS["sqlite"]) is first


@pytest.mark.parametrize(
    ("dialect", "terms"),
    [
        ("postgresql", "'{owner}' & 'buy' & 'mi':*"),
        ("sqlite", '"{owner}" "buy" "mi"*'),
    ],
)
def test_an_index_is_asked_for_words_that_it_does_not_interpret(dialect: str, terms: str) -> None:
    query = parse_query("buy mi")
    assert query is not None

    assert search_params(dialect, "alice", query) == {
        "terms": terms.format(owner=owner_term("alice")),
        "pieces": '[" buy "," mi"]',
    }
