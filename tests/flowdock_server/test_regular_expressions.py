"""All regular expressions of the server take time in proportion to the length of the text."""

import pytest

from tests.expressions import Expression, expressions_in, slowest, worst_texts

EXPRESSIONS = expressions_in("flowdock_server")


def test_regular_expressions_are_found() -> None:
    assert len(EXPRESSIONS) > 20


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_regular_expression_takes_linear_time(expression: Expression) -> None:
    assert slowest(expression, worst_texts(expression.pattern)) == ""
