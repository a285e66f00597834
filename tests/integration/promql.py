"""Analysis of PromQL expressions: metrics, and the label values that they require."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_:][\w:]*|=~|!~|!=|==|\d[\w.]*|[^\s\w]', re.ASCII
)
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = {*_GROUPING, "and", "or", "unless", "bool", "offset"}
# What follows the name of a function or of an aggregation.
_CALLS = {"(", "by", "without"}
_NAME = re.compile(r"[a-zA-Z_:][\w:]*", re.ASCII)
# What Grafana fills in: `=~"$instance"` says nothing about a value.
_VARIABLE = "$"


@dataclass
class Asked:
    """Metrics and labels of one expression.

    Attributes:
        labels: Metric -> labels that its selectors match.
        values: Metric -> label -> values that must exist, because a matcher names them.
        grouped: Labels by which the results are grouped or joined.
    """

    labels: dict[str, set[str]] = field(default_factory=dict)
    values: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    grouped: set[str] = field(default_factory=set)


def read(expression: str) -> Asked:
    """Read an expression; it is known to be well formed."""
    asked = Asked()
    tokens = _TOKEN.findall(expression)
    position = 0
    while position < len(tokens):
        token, after = tokens[position], [*tokens[position + 1 :], ""][0]
        position += 1
        if token in _GROUPING and after == "(":
            end = tokens.index(")", position)
            asked.grouped |= {name for name in tokens[position:end] if _NAME.fullmatch(name)}
            position = end + 1
        elif _NAME.fullmatch(token) and token not in _WORDS and after not in _CALLS:
            labels = asked.labels.setdefault(token, set())
            if after == "{":
                end = tokens.index("}", position)
                for label, values in _matchers(tokens[position + 1 : end]):
                    labels.add(label)
                    wanted = asked.values.setdefault(token, {}).setdefault(label, set())
                    wanted |= values
                position = end + 1
    return asked


def _matchers(tokens: list[str]) -> Iterator[tuple[str, set[str]]]:
    for label, operator, quoted in zip(tokens[::4], tokens[1::4], tokens[2::4], strict=True):
        text = quoted.strip('"')
        named = operator in {"=", "=~"} and _VARIABLE not in text
        yield label, {value for value in text.split("|") if named and value.isidentifier()}


def find_faults(
    expression: str, exported: Mapping[str, Mapping[str, set[str]]], recorded: set[str]
) -> list[str]:
    """Return the parts of an expression that no exporter has.

    Args:
        expression: In PromQL.
        exported: Metric -> label -> values, of a scrape.
        recorded: Names of recording rules.
    """
    asked = read(expression)
    target = {"job", "instance"}
    faults = []
    known = set(target)
    for metric, labels in asked.labels.items():
        if metric in recorded:
            known |= labels
            continue
        if metric != "up" and metric not in exported:
            faults.append(f"no metric {metric}")
            continue
        found = exported.get(metric, {})
        known |= set(found)
        faults += [f"{metric} has no label {name}" for name in labels - set(found) - target]
        faults += [
            f"{metric} has no {name}={value}"
            for name, values in asked.values.get(metric, {}).items()
            if name in found
            for value in values - found.get(name, set())
        ]
    return faults + [f"nothing has the label {name}" for name in asked.grouped - known]
