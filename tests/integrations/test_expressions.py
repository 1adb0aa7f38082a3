"""No text from elsewhere takes a regular expression of ours more time than its length warrants."""

import re

import pytest

from tests.expressions import Expression, expressions_in, slowest, worst_texts

EXPRESSIONS = expressions_in("flowdock_bridge", "integrations", "polls")


def test_regular_expressions_are_found() -> None:
    assert len(EXPRESSIONS) > 20


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_regular_expression_takes_time_in_proportion_to_its_text(expression: Expression) -> None:
    assert slowest(expression, worst_texts(expression.pattern)) == ""


@pytest.mark.parametrize("source", [r"<[^>]*>", r"\s*[^<>]*<", r'"(?:[^"\\]|\\.)*"', r"(?:\w+)*!"])
def test_quadratic_regular_expression_is_noticed(source: str) -> None:
    pattern = re.compile(source)

    assert slowest(Expression("here", pattern, frozenset({"sub"})), worst_texts(pattern))
