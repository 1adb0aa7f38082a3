"""No text from elsewhere takes a regular expression of ours more time than its length warrants."""

import pytest

from tests.expressions import Expression, expressions_in, slowest, worst_texts

EXPRESSIONS = expressions_in("flowdock_server")


def test_the_expressions_are_found() -> None:
    assert len(EXPRESSIONS) > 20


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_an_expression_takes_time_in_proportion_to_its_text(expression: Expression) -> None:
    assert slowest(expression, worst_texts(expression.pattern)) == ""
