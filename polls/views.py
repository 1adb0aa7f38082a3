"""The pages of polls: the list, a new poll, and a poll with its actions.

Only members of a poll's organization can see it, and Flowdock is asked for each request. For others a poll does not
exist: they get the same 404 as for an unknown number.
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

from integrations.signals import (
    NextStep,
    Organization,
    error_page,
    organizations,
    post_only_page,
    recent_organizations,
)

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
from .results import OptionResult, Results, join
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
    """An option on the poll's page. `voters` are the first voters, `unnamed` is the number of the others."""

    result: OptionResult
    voters: list[User]
    unnamed: int
    is_mine: bool


def with_organizations(view: Callable[..., HttpResponse]) -> View:
    """Pass the organizations of the signed-in person to the view, as Flowdock knows them now."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return view(request, organizations(request), *args, **kwargs)

    return wrapped


def poll_action(view: Callable[..., HttpResponse]) -> View:
    """A view that changes the poll, by POST only. If the poll refuses the change, its page says why."""

    @wraps(view)
    def wrapped(request: HttpRequest, pk: int, **kwargs: Any) -> HttpResponse:
        if request.method != "POST":
            return post_only_page(request, NextStep("Go to the poll", reverse("polls:poll", args=[pk])))
        return perform(request, pk=pk, **kwargs)

    @with_organizations
    def perform(request: HttpRequest, member_of: Organizations, pk: int, **kwargs: Any) -> HttpResponse:
        poll = get_poll(pk, member_of)
        try:
            return view(request, poll, **kwargs)
        except Refused as refusal:
            messages.warning(request, str(refusal))
            return respond(request, poll)
        except Poll.DoesNotExist as error:  # deleted in the meantime
            raise Http404 from error

    return wrapped


def user_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  `organizations` has raised for anybody else
    return request.user


def get_poll(pk: int, member_of: Organizations) -> Poll:
    return get_object_or_404(Poll.objects.of(member_of).select_related("category", "author", "closed_by"), pk=pk)


@with_organizations
def polls(request: HttpRequest, member_of: Organizations, organization: str = "", slug: str = "") -> HttpResponse:
    """The list of polls of the person's organizations or of a category: open polls, then closed ones."""
    # The address is compared in Python, because PostgreSQL rejects a NUL in a parameter.
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
    """Redirect an address from before categories belonged to organizations, if it is unambiguous."""
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
            messages.success(request, "Poll created.")
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
    """The changing parts of an open page; 204 if nothing has changed."""
    try:
        subject = get_poll(pk, recent_organizations(request))
    except Http404:
        # The browser loads the page again, which shows the 404 and stops polling.
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
        confirm(request, format_html("You removed your vote for {}.", option.label))
    return respond(request, poll)


@poll_action
def add_option(request: HttpRequest, poll: Poll) -> HttpResponse:
    form = OptionForm(request.POST)
    if not form.is_valid():
        return render_poll(request, poll, option_form=form)
    option, is_new = poll.add_option(user_of(request), form.cleaned_data["label"])
    if is_new:
        messages.success(request, format_html("Added the option {}.", option.label))
    else:
        messages.warning(request, format_html("The option {} already exists.", option.label))
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
        messages.success(request, "Poll closed.")
    return respond(request, poll)


def confirm(request: HttpRequest, words: SafeString) -> None:
    """Show a message, unless htmx updates the page in place."""
    if not request.headers.get("HX-Request"):
        messages.success(request, words)


def respond(request: HttpRequest, poll: Poll) -> HttpResponse:
    """After a change: redirect to the page, or for htmx return its changing parts."""
    if request.headers.get("HX-Request"):
        return render(request, "polls/_live.html", poll_context(request, poll) | {"is_live": True})
    return redirect(poll)


def render_poll(
    request: HttpRequest,
    poll: Poll,
    option_form: OptionForm | None = None,
    comment_form: CommentForm | None = None,
) -> HttpResponse:
    """The poll's page; with status 422 if it shows an invalid form."""
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
    """The context of the poll's page, in five queries, not counting the poll itself."""
    person = user_of(request)
    results = poll.results()
    voters = named_voters(poll.votes.select_related("person").order_by("voted_at", "pk"))
    rows = [_option_row(option, voters.get(option.pk, []), person) for option in results.options]
    comments, earlier = _comments(poll, show_all=request.GET.get("comments") == "all")
    return {
        "poll": poll,
        "results": results,
        "options": rows,
        "voted_for": join([row.result.label for row in rows if row.is_mine])
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
    """The latest comments, oldest first, and whether there are earlier ones."""
    newest = poll.comments.select_related("author").order_by("-pk")
    comments = list(newest if show_all else newest[: COMMENTS_SHOWN + 1])
    has_earlier = not show_all and len(comments) > COMMENTS_SHOWN
    return comments[: None if show_all else COMMENTS_SHOWN][::-1], has_earlier


def organization_names(member_of: Organizations) -> dict[str, str]:
    """The organizations' names by key, for pages that say which one a category is in; empty if there is one."""
    return {each.key: each.name for each in member_of} if len(member_of) > 1 else {}


def no_organization_page(request: HttpRequest) -> HttpResponse:
    return error_page(
        request,
        HTTPStatus.FORBIDDEN,
        "You are not in a flow",
        "Polls belong to an organization, and you are not in a flow of any organization. Ask somebody to add you to a"
        " flow, then reload this page.",
        NextStep("Go to polls", reverse("polls:polls")),
    )
