"""Polls: the list, a new one, one with all that can be done in it.

For the members of the organization that a poll belongs to, and Flowdock is asked who that is, each time. To others a
poll does not exist: the same 404 as for a number that no poll has.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from integrations.signals import Organization, organizations, recent_organizations

from .forms import CommentForm, OptionForm, PollForm
from .models import (
    FEWEST_OPTIONS,
    LABEL_LENGTH,
    MOST_OPTIONS,
    NAME_LENGTH,
    QUESTION_LENGTH,
    TEXT_LENGTH,
    Category,
    Comment,
    Poll,
    Refused,
    named_voters,
    results_of,
)
from .results import OptionResult, Results, listed
from .texts import clean_line

View = Callable[..., HttpResponse]
Organizations = tuple[Organization, ...]

POLLS_ON_A_PAGE = 25
LONGEST_SEARCH = 200
COMMENTS_SHOWN = 100
VOTERS_NAMED = 20


@dataclass(frozen=True, slots=True)
class Row:
    poll: Poll
    results: Results


@dataclass(frozen=True, slots=True)
class OptionRow:
    """An option on the poll's page. `voters` are the first by name, `unnamed` is how many there are beside them."""

    result: OptionResult
    voters: list[User]
    unnamed: int
    is_mine: bool


def with_organizations(view: Callable[..., HttpResponse]) -> View:
    """A view that is given the organizations of whoever is signed in, as Flowdock has them now."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return view(request, organizations(request), *args, **kwargs)

    return wrapped


def poll_action(view: Callable[..., HttpResponse]) -> View:
    """A view that changes the poll: POST only, given the poll. What the poll refuses is said on its page."""

    @wraps(view)
    def wrapped(request: HttpRequest, pk: int, **kwargs: Any) -> HttpResponse:
        if request.method != "POST":
            return post_required(request, pk)
        return perform(request, pk=pk, **kwargs)

    @with_organizations
    def perform(request: HttpRequest, member_of: Organizations, pk: int, **kwargs: Any) -> HttpResponse:
        poll = get_poll(pk, member_of)
        try:
            return view(request, poll, **kwargs)
        except Refused as refusal:
            messages.warning(request, str(refusal))
            return respond(request, poll)
        except Poll.DoesNotExist as error:  # deleted since it was found
            raise Http404 from error

    return wrapped


def user_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  Flowdock was asked about them
    return request.user


def get_poll(pk: int, member_of: Organizations) -> Poll:
    return get_object_or_404(Poll.objects.of(member_of).select_related("category", "author", "closed_by"), pk=pk)


@with_organizations
def polls(request: HttpRequest, member_of: Organizations, organization: str = "", slug: str = "") -> HttpResponse:
    """All polls of the person's organizations, or those of a category: the open ones, then the closed ones."""
    # Of the address, only what is the name of one of theirs reaches the database: PostgreSQL takes no NUL.
    named = Category.objects.of(each for each in member_of if each.key == organization)
    category = get_object_or_404(named, slug=slug) if slug else None
    query = clean_line(request.GET.get("q", ""))[:LONGEST_SEARCH]
    found = Poll.objects.of(member_of).open_first().select_related("category", "author")
    if category:
        found = found.filter(category=category)
    if query:
        found = found.filter(question__icontains=query)
    page: Page[Poll] = Paginator(found, POLLS_ON_A_PAGE).get_page(request.GET.get("page"))
    results = results_of([poll.pk for poll in page])
    rows = [Row(poll, results[poll.pk]) for poll in page]
    return render(
        request,
        "polls/polls.html",
        {
            "category": category,
            "categories": list(Category.objects.of(member_of)),
            "organizations": organization_names(member_of),
            "query": query,
            "number": page.paginator.count,
            "open": [row for row in rows if row.poll.is_open],
            "closed": [row for row in rows if not row.poll.is_open],
            "paging": page,
            "page": "polls",
        },
    )


@with_organizations
def category_without_organization(request: HttpRequest, member_of: Organizations, slug: str) -> HttpResponse:
    """An address from before categories belonged to organizations: leads on where it is clear which one is meant."""
    found = list(Category.objects.of(member_of).filter(slug=slug)[:2])
    if len(found) != 1:
        raise Http404
    return redirect(found[0])


@with_organizations
def new(request: HttpRequest, member_of: Organizations) -> HttpResponse:
    if not member_of:
        return no_organization_page(request)
    if request.method == "POST":
        form = PollForm(request.POST, organizations=member_of)
        if form.is_valid():
            filled = form.cleaned_data
            poll = Poll.objects.start(
                user_of(request),
                question=filled["question"],
                description=filled["description"],
                organization=form.organization_key,
                category=form.category_name,
                options=filled["options"],
                several_answers=filled["several_answers"],
                form_key=filled["form_key"],
            )
            messages.success(request, "The poll is open.")
            return redirect(poll)
    else:
        chosen = {"category": request.GET.get("category", ""), "form_key": uuid.uuid4()}
        form = PollForm(initial=chosen, organizations=member_of)
    return render(
        request,
        "polls/new.html",
        {
            "form": form,
            "categories": list(Category.objects.of(member_of)),
            "organizations": organization_names(member_of),
            "longest": {
                "question": QUESTION_LENGTH,
                "description": TEXT_LENGTH,
                "category": NAME_LENGTH,
                "option": LABEL_LENGTH,
            },
            "fewest_options": FEWEST_OPTIONS,
            "most_options": MOST_OPTIONS,
            "page": "polls",
        },
        status=HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK,
    )


@with_organizations
def poll(request: HttpRequest, member_of: Organizations, pk: int) -> HttpResponse:
    return render_poll(request, get_poll(pk, member_of))


def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The changing parts of the page, for one that is open; 204 while nothing has changed."""
    try:
        subject = get_poll(pk, recent_organizations(request))
    except Http404:
        # The page is loaded again, says that there is no such poll, and asks no more.
        return HttpResponse(status=HTTPStatus.NOT_FOUND, headers={"HX-Refresh": "true"})
    if request.GET.get("version") == str(subject.version):
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    return render(request, "polls/_live.html", poll_context(request, subject) | {"is_live": True})


@poll_action
def vote(request: HttpRequest, poll: Poll, option_pk: int) -> HttpResponse:
    option = get_object_or_404(poll.options, pk=option_pk)
    if poll.vote(user_of(request), option):
        confirm(request, format_html("You voted for {}.", option.label))
    return respond(request, poll)


@poll_action
def remove_vote(request: HttpRequest, poll: Poll, option_pk: int) -> HttpResponse:
    option = get_object_or_404(poll.options, pk=option_pk)
    if poll.remove_vote(user_of(request), option):
        confirm(request, format_html("You took back your vote for {}.", option.label))
    return respond(request, poll)


@poll_action
def add_option(request: HttpRequest, poll: Poll) -> HttpResponse:
    form = OptionForm(request.POST)
    if not form.is_valid():
        return render_poll(request, poll, option_form=form)
    option, is_new = poll.add_option(user_of(request), form.cleaned_data["label"])
    if is_new:
        messages.success(request, format_html("{} is an option now.", option.label))
    else:
        messages.warning(request, format_html("{} is an option already.", option.label))
    return respond(request, poll)


@poll_action
def comment(request: HttpRequest, poll: Poll) -> HttpResponse:
    form = CommentForm(request.POST)
    if not form.is_valid():
        return render_poll(request, poll, comment_form=form)
    comment = poll.comment(user_of(request), form.cleaned_data["text"], form.cleaned_data["form_key"])
    return redirect(f"{poll.get_absolute_url()}#comment-{comment.pk}")


@poll_action
def close(request: HttpRequest, poll: Poll) -> HttpResponse:
    if not poll.may_be_closed_by(user_of(request)):
        raise PermissionDenied
    if poll.close(user_of(request)):
        messages.success(request, "The poll is closed.")
    return respond(request, poll)


def confirm(request: HttpRequest, words: SafeString) -> None:
    """Show what was done, unless the page shows it without being loaded again."""
    if not request.headers.get("HX-Request"):
        messages.success(request, words)


def respond(request: HttpRequest, poll: Poll) -> HttpResponse:
    """After a change: the page again, or its changing parts where htmx asked."""
    if request.headers.get("HX-Request"):
        return render(request, "polls/_live.html", poll_context(request, poll) | {"is_live": True})
    return redirect(poll)


def render_poll(
    request: HttpRequest,
    poll: Poll,
    option_form: OptionForm | None = None,
    comment_form: CommentForm | None = None,
) -> HttpResponse:
    """The page of the poll; 422 with a form that cannot be taken as it was filled in."""
    bound = option_form or comment_form
    return render(
        request,
        "polls/poll.html",
        poll_context(request, poll)
        | {
            "option_form": option_form or OptionForm(),
            "comment_form": comment_form or CommentForm(initial={"form_key": uuid.uuid4()}),
            "page": "polls",
        },
        status=HTTPStatus.UNPROCESSABLE_ENTITY if bound else HTTPStatus.OK,
    )


def poll_context(request: HttpRequest, poll: Poll) -> dict[str, Any]:
    """What the page shows of the poll, in five queries beside the poll itself."""
    person = user_of(request)
    results = poll.results()
    voters = named_voters(poll.votes.select_related("person").order_by("voted_at", "pk"))
    rows = [_option_row(option, voters.get(option.pk, []), person) for option in results.options]
    comments, earlier = _comments(poll, show_all=request.GET.get("comments") == "all")
    return {
        "poll": poll,
        "results": results,
        "options": rows,
        "voted_for": listed([row.result.label for row in rows if row.is_mine])
        if any(row.is_mine for row in rows)
        else "",
        "comments": comments,
        "has_earlier_comments": earlier,
        "may_close": poll.is_open and poll.may_be_closed_by(person),
        "may_add_options": poll.is_open and len(rows) < MOST_OPTIONS,
        "longest_label": LABEL_LENGTH,
        "longest_comment": TEXT_LENGTH,
    }


def _option_row(option: OptionResult, voters: list[User], person: User) -> OptionRow:
    return OptionRow(
        option, voters[:VOTERS_NAMED], max(len(voters) - VOTERS_NAMED, 0), any(person.pk == each.pk for each in voters)
    )


def _comments(poll: Poll, show_all: bool) -> tuple[list[Comment], bool]:
    """The last comments, oldest first, and whether there are earlier ones."""
    newest = poll.comments.select_related("author").order_by("-pk")
    comments = list(newest if show_all else newest[: COMMENTS_SHOWN + 1])
    has_earlier = not show_all and len(comments) > COMMENTS_SHOWN
    return comments[: None if show_all else COMMENTS_SHOWN][::-1], has_earlier


def organization_names(member_of: Organizations) -> dict[str, str]:
    """Their names by key, for pages that have to say whose a category is: empty while it can be one's only."""
    return {each.key: each.name for each in member_of} if len(member_of) > 1 else {}


def no_organization_page(request: HttpRequest) -> HttpResponse:
    return render(
        request,
        "integrations/error.html",
        {
            "title": "You are in no flow",
            "words": "Polls belong to an organization, and Flowdock knows no flow that you are in. Ask somebody to add"
            " you to one, then come back to this page.",
            "ways": [{"title": "Go to polls", "url": reverse("polls:polls")}],
        },
        status=HTTPStatus.FORBIDDEN,
    )


def post_required(request: HttpRequest, pk: int) -> HttpResponse:
    way = {"title": "Go to the poll", "url": reverse("polls:poll", args=[pk])}
    response = render(
        request,
        "integrations/error.html",
        {
            "title": "This page only accepts form submissions",
            "words": "Its address belongs to a button and cannot be opened by itself. Nothing was changed.",
            "ways": [way],
        },
        status=HTTPStatus.METHOD_NOT_ALLOWED,
    )
    response["Allow"] = "POST"
    return response
