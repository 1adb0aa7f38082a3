"""A poll's results: votes, leading options and a summary in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NAMED_IN_A_TIE = 4


def count(number: int, noun: str) -> str:
    """ "1 vote", "3 votes", "no votes"."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def join(words: Sequence[str]) -> str:
    """ "Pizza, Sushi and Salad"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


@dataclass(frozen=True, slots=True)
class OptionResult:
    """An option and its votes. `share` is a percentage of the voters; `leads` is true for each option of a tie."""

    pk: int
    label: str
    votes: int
    share: int
    leads: bool


@dataclass(frozen=True, slots=True)
class Results:
    """The options in the poll's order, and the number of voters, who may each have several votes."""

    options: tuple[OptionResult, ...] = ()
    voters: int = 0

    @classmethod
    def of(cls, counted: Sequence[tuple[int, str, int]], voters: int) -> Results:
        """Create results from each option's id, label and votes."""
        most = max((votes for _, _, votes in counted), default=0)
        return cls(
            tuple(
                OptionResult(pk, label, votes, round(100 * votes / voters) if voters else 0, 0 < votes == most)
                for pk, label, votes in counted
            ),
            voters,
        )

    @property
    def votes(self) -> int:
        return sum(option.votes for option in self.options)

    @property
    def leaders(self) -> list[OptionResult]:
        """The options with the most votes: none without votes, several in a tie."""
        return [option for option in self.options if option.leads]

    @property
    def summary(self) -> str:
        """The result as plain text: the winner, the tie, or that nobody voted."""
        match self.leaders:
            case []:
                return "nobody voted"
            case [winner]:
                return f"{winner.label} wins with {winner.votes} of {count(self.votes, 'vote')}"
            case leaders if len(leaders) <= NAMED_IN_A_TIE:
                tied = join([leader.label for leader in leaders])
            case leaders:
                tied = f"{len(leaders)} options"
        return f"a tie between {tied}, {count(leaders[0].votes, 'vote')} each"
