"""Polls with their options, votes and comments.

Category ──< Poll ──< Option ──< Vote, and Poll ──< Comment. Each change is a short transaction that locks its poll, so
changes of a poll never overlap. It sends a signal, and the activity is posted after the transaction has committed.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import Count, F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

from integrations.activity import Activity, Author
from integrations.signals import Organization, happened

from . import activities
from .results import Results
from .texts import normalized

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SERVICE = "polls"
# The origin that covers all categories. The origin of a single category has the category's name.
ALL_POLLS = "All polls"

NAME_LENGTH = 60
QUESTION_LENGTH = 200
LABEL_LENGTH = 120
TEXT_LENGTH = 4000
FEWEST_OPTIONS, MOST_OPTIONS = 2, 30
# Case folding turns one character into at most three.
FOLDED = 3

PLAIN_NAME = re.compile(r"[a-z0-9]+( [a-z0-9]+)*")


class Refused(Exception):
    """The poll refuses a change. The text is shown to the person, and says why."""


class PollClosed(Refused):
    def __init__(self) -> None:
        super().__init__("This poll is closed and can no longer be changed.")


class TooManyOptions(Refused):
    def __init__(self) -> None:
        super().__init__(f"A poll can have at most {MOST_OPTIONS} options. This one has reached the limit.")


class CategoryQuerySet(models.QuerySet["Category"]):
    def of(self, organizations: Iterable[Organization]) -> CategoryQuerySet:
        """The categories of these organizations, without those that are not assigned to any."""
        return self.filter(organization__in=[organization.key for organization in organizations])

    def named(self, name: str, organization: str) -> Category:
        """Return the organization's category of this name, ignoring its case, or create it."""
        category, _ = self.get_or_create(organization=organization, key=normalized(name), defaults={"name": name})
        return category


class Category(models.Model):
    """A category of polls, which flows can follow. It cannot be renamed, because flows follow it by its name.

    It belongs to an organization: only that organization's members see its polls and vote, and only its flows can
    follow it. `organization` is empty for a category from before organizations existed here; staff can assign it.
    """

    name = models.CharField(max_length=NAME_LENGTH)
    organization = models.CharField(
        max_length=100, default="", help_text="The organization's name in Flowdock's addresses, such as acme"
    )
    key = models.CharField(max_length=NAME_LENGTH * FOLDED, editable=False)
    slug = models.SlugField(max_length=NAME_LENGTH + 16, editable=False)

    objects = CategoryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "categories"
        ordering: ClassVar = ["key"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(key=normalized(ALL_POLLS)), name="polls_category_is_not_all_polls"),
            models.UniqueConstraint(fields=["organization", "key"], name="polls_category_unique_in_organization"),
            models.UniqueConstraint(fields=["organization", "slug"], name="polls_category_address_unique"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self._state.adding:
            self.key = normalized(self.name)
            self.slug = slug_of(self.key)
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("polls:category", args=[self.organization or "-", self.slug])

    def clean(self) -> None:
        if problem := name_problem(self.name):
            raise ValidationError({"name": problem})
        same = (
            Category.objects.filter(organization=self.organization, key=normalized(self.name))
            .exclude(pk=self.pk)
            .first()
        )
        if same:
            raise ValidationError({"name": f"The category {same.name} already exists."})


def name_problem(name: str) -> str:
    """Why a category cannot have this name, or ""."""
    if not normalized(name):
        return "The name must contain at least one visible character."
    if normalized(name) == normalized(ALL_POLLS):
        return f"“{ALL_POLLS}” stands for all categories. Choose another name."
    return ""


def slug_of(key: str) -> str:
    """The part of the category's address: the key itself if it is plain, else a slug with a hash that makes it unique.

    It depends only on the key, so two categories that are created at the same time cannot get the same slug.
    """
    if PLAIN_NAME.fullmatch(key):
        return key.replace(" ", "-")
    return f"{slugify(key).replace('_', '-')[:NAME_LENGTH]}_{hashlib.sha256(key.encode()).hexdigest()[:12]}"


class PollQuerySet(models.QuerySet["Poll"]):
    def of(self, organizations: Iterable[Organization]) -> PollQuerySet:
        """The polls that members of these organizations can see."""
        return self.filter(category__in=Category.objects.of(organizations))

    def open_first(self) -> PollQuerySet:
        """Open polls, newest first, then closed polls, last closed first."""
        return self.order_by(F("closed_at").desc(nulls_first=True), "-created_at", "-pk")

    def start(
        self,
        author: User,
        *,
        question: str,
        options: Sequence[str],
        organization: str,
        category: str,
        description: str = "",
        several_answers: bool = False,
        form_key: uuid.UUID | None = None,
    ) -> Poll:
        """Create a poll in the organization's category of this name, and the category if needed.

        If the author sends the same `form_key` again, the poll that it created is returned.
        """
        form_key = form_key or uuid.uuid4()
        try:
            with transaction.atomic():
                poll = self.create(
                    author=author,
                    question=question,
                    description=description,
                    category=Category.objects.named(category, organization),
                    several_answers=several_answers,
                    form_key=form_key,
                )
                poll.options.bulk_create(
                    Option(poll=poll, label=label, key=normalized(label), position=position, added_by=author)
                    for position, label in enumerate(options, start=1)
                )
                poll.record_change("created", author, activities.CREATED)
        except IntegrityError:
            known = self.filter(author=author, form_key=form_key).first()
            if known is None:
                raise
            return known
        return poll


class Poll(models.Model):
    """A question with options to vote for. A closed poll cannot be changed."""

    question = models.CharField(max_length=QUESTION_LENGTH)
    description = models.TextField(max_length=TEXT_LENGTH, blank=True)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="polls")
    several_answers = models.BooleanField(default=False, help_text="Whether a person can vote for several options")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="polls")
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="closed_polls"
    )
    version = models.PositiveIntegerField(default=0, help_text="The number of changes, which open pages compare")
    form_key = models.UUIDField(default=uuid.uuid4, editable=False)

    objects = PollQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["author", "form_key"], name="polls_poll_unique_form_key"),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=False) | Q(closed_by=None), name="polls_poll_closed_when_by_somebody"
            ),
        ]

    def __str__(self) -> str:
        return self.question

    def get_absolute_url(self) -> str:
        return reverse("polls:poll", args=[self.pk])

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    def results(self) -> Results:
        return results_of([self.pk])[self.pk]

    def may_be_closed_by(self, person: User) -> bool:
        return person.is_staff or (person.pk is not None and person.pk == self.author_id)

    def vote(self, person: User, option: Option) -> bool:
        """Vote for one of the poll's options. If only one answer is allowed, this changes the person's vote.

        Returns False if the person has already voted for it. Raises PollClosed.
        """
        self._check_option(option)
        with self._locked():
            mine = {vote.option_id: vote for vote in self.votes.filter(person=person).select_related("option")}
            if option.pk in mine:
                return False
            if self.several_answers or not mine:
                self.votes.create(person=person, option=option, is_only_answer=not self.several_answers)
                title = activities.voted(option.label)
            else:
                (vote,) = mine.values()
                title = activities.vote_changed(vote.option.label, option.label)
                vote.option, vote.voted_at = option, timezone.now()
                vote.save(update_fields=["option", "voted_at"])
            self.record_change("voted", person, title)
        return True

    def remove_vote(self, person: User, option: Option) -> bool:
        """Remove the person's vote for the option. Returns False if there is none. Raises PollClosed."""
        self._check_option(option)
        with self._locked():
            deleted, _ = self.votes.filter(person=person, option=option).delete()
            if not deleted:
                return False
            self.record_change("vote_removed", person, activities.vote_removed(option.label))
        return True

    def add_option(self, person: User, label: str) -> tuple[Option, bool]:
        """Return the option with this label and whether it is new. Raises PollClosed and TooManyOptions."""
        with self._locked():
            options = list(self.options.all())
            for option in options:
                if option.key == normalized(label):
                    return option, False
            if len(options) >= MOST_OPTIONS:
                raise TooManyOptions
            option = self.options.create(
                label=label,
                key=normalized(label),
                position=max((each.position for each in options), default=0) + 1,
                added_by=person,
            )
            self.record_change("option_added", person, activities.option_added(label))
        return option, True

    def comment(self, person: User, text: str, form_key: uuid.UUID | None = None) -> Comment:
        """Add a comment. The same `form_key` again adds nothing. Raises PollClosed."""
        form_key = form_key or uuid.uuid4()
        with self._locked():
            known = self.comments.filter(author=person, form_key=form_key).first()
            if known:
                return known
            comment = self.comments.create(author=person, text=text, form_key=form_key)
            self.record_change("commented", person, activities.COMMENTED, body=text, event="discussion")
        return comment

    def close(self, person: User) -> bool:
        """Close the poll and post the result. Returns False if it is already closed."""
        try:
            with self._locked():
                self.closed_at, self.closed_by = timezone.now(), person
                self.save(update_fields=["closed_at", "closed_by"])
                self.record_change("closed", person, activities.closed(self.results()))
        except PollClosed:
            return False
        return True

    def record_change(
        self,
        kind: str,
        person: User,
        title: str,
        body: str = "",
        event: Literal["activity", "discussion"] = "activity",
    ) -> None:
        """Count a change, and signal it to the origins of the poll's category and of all polls. `title` is HTML."""
        self.version += 1
        self.save(update_fields=["version"])
        activity = self._activity(activities.author(person), title, body, event)
        for origin in (ALL_POLLS, self.category.name):
            happened.send(
                sender=Poll,
                service=SERVICE,
                origin=origin,
                organization=self.category.organization,
                kind=kind,
                activity=activity,
            )

    def _activity(
        self, author: Author, title: str, body: str, event: Literal["activity", "discussion"]
    ) -> Callable[[], Activity]:
        """Return a function that builds the activity when it is posted.

        Its thread shows the poll as it is by then, so of two simultaneous votes, the last one posted shows both.
        """

        def activity() -> Activity:
            poll = Poll.objects.select_related("category").get(pk=self.pk)
            return activities.activity(poll, poll.results(), author=author, title=title, body=body, event=event)

        return activity

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Open a transaction that locks this poll against other changes. Raises PollClosed.

        SQLite ignores the row lock and does not need it: it allows one writing transaction at a time.
        """
        with transaction.atomic():
            self.refresh_from_db(
                fields=["closed_at", "closed_by", "version"],
                from_queryset=Poll.objects.select_for_update(no_key=True),
            )
            if not self.is_open:
                raise PollClosed
            yield

    def _check_option(self, option: Option) -> None:
        if option.poll_id != self.pk:
            raise ValueError(f"option {option.pk} belongs to another poll")


class Option(models.Model):
    poll = models.ForeignKey(Poll, on_delete=models.CASCADE, related_name="options")
    label = models.CharField(max_length=LABEL_LENGTH)
    key = models.CharField(max_length=LABEL_LENGTH * FOLDED, editable=False)
    position = models.PositiveSmallIntegerField()
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="added_options"
    )

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["poll", "key"], name="polls_option_unique_in_poll"),
            models.UniqueConstraint(fields=["poll", "position"], name="polls_option_has_its_place"),
        ]

    def __str__(self) -> str:
        return self.label


class Vote(models.Model):
    """A person's vote for an option.

    `poll` and `is_only_answer` copy values of the option's poll, which never change, so that a database constraint can
    ensure that a person has one vote where one answer is allowed.
    """

    poll = models.ForeignKey(Poll, on_delete=models.CASCADE, related_name="votes")
    option = models.ForeignKey(Option, on_delete=models.CASCADE, related_name="votes")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="votes")
    is_only_answer = models.BooleanField()
    voted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["person", "option"], name="polls_vote_once_for_an_option"),
            models.UniqueConstraint(
                fields=["person", "poll"], condition=Q(is_only_answer=True), name="polls_vote_only_answer"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} for {self.option}"


class Comment(models.Model):
    poll = models.ForeignKey(Poll, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="poll_comments"
    )
    text = models.TextField(max_length=TEXT_LENGTH)
    commented_at = models.DateTimeField(default=timezone.now)
    form_key = models.UUIDField(default=uuid.uuid4, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["author", "poll", "form_key"], name="polls_comment_unique_form_key"),
        ]

    def __str__(self) -> str:
        return self.text[:80]


def results_of(polls: Collection[int]) -> dict[int, Results]:
    """The results of these polls by their ids, in two queries."""
    counted: dict[int, list[tuple[int, str, int]]] = defaultdict(list)
    for poll, option, label, votes in (
        Option.objects.filter(poll__in=polls)
        .order_by("position")
        .annotate(count=Count("votes"))
        .values_list("poll", "pk", "label", "count")
    ):
        counted[poll].append((option, label, votes))
    voters = dict(
        Vote.objects.filter(poll__in=polls).order_by().values_list("poll").annotate(Count("person", distinct=True))
    )
    return {poll: Results.of(counted[poll], voters.get(poll, 0)) for poll in polls}


def named_voters(votes: Iterable[Vote]) -> dict[int, list[User]]:
    """The voters by the option's id, in the order in which they voted."""
    people: dict[int, list[User]] = defaultdict(list)
    for vote in votes:
        people[vote.option_id].append(vote.person)
    return people
