"""The admin of polls, where staff search, close and delete them. Polls are only created on their own pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.options import ModelAdmin, TabularInline
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from .models import Category, Comment, Option, Poll, Vote

if TYPE_CHECKING:
    CategoryBase = ModelAdmin[Category]
    PollBase = ModelAdmin[Poll]
    InlineBase = TabularInline[Model, Poll]
else:  # at run time the classes take no type
    CategoryBase = PollBase = ModelAdmin
    InlineBase = TabularInline


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("open", "Open"), ("closed", "Closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in {"open", "closed"}:
            return queryset
        return queryset.filter(closed_at__isnull=self.value() == "open")


class UnassignedFilter(admin.SimpleListFilter):
    title = "assignment"
    parameter_name = "assigned"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("no", "Without an organization")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(organization="") if self.value() == "no" else queryset


@admin.register(Category)
class CategoryAdmin(CategoryBase):
    """Categories cannot be renamed, because flows follow them by name; those without polls can be deleted.

    A category without an organization is assigned to one here. Until then, only staff see its polls.
    """

    list_display = ("name", "organization", "slug")
    list_filter = (UnassignedFilter, "organization")
    search_fields = ("name", "organization")
    fields = ("name", "organization", "slug")

    def get_readonly_fields(self, request: HttpRequest, obj: Category | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("slug",)
        return ("name", "organization", "slug") if obj.organization else ("name", "slug")


class ReadOnly(InlineBase):
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class OptionsInline(ReadOnly):
    model = Option
    fields = ("position", "label", "added_by")
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("added_by")


class VotesInline(ReadOnly):
    model = Vote
    fields = ("person", "option", "voted_at")
    ordering = ("pk",)
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("person", "option")


class CommentsInline(ReadOnly):
    """Comments can be deleted here; what was posted to flows remains."""

    model = Comment
    fields = ("author", "text", "commented_at")
    ordering = ("pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("author")


@admin.register(Poll)
class PollAdmin(PollBase):
    list_display = ("question", "category", "author", "created_at", "closed_at")
    list_filter = (StatusFilter, "category__organization", "category")
    list_select_related = ("category", "author")
    list_per_page = 50
    search_fields = ("question", "author__username", "author__first_name", "author__last_name", "author__email")
    ordering = ("-pk",)
    fields = (
        "question", "description", "category", "several_answers", "author", "created_at", "closed_at", "closed_by",
    )  # fmt: skip
    readonly_fields = fields
    inlines: ClassVar = [OptionsInline, VotesInline, CommentsInline]
    actions = ("close",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description="Close selected polls and post their results", permissions=["change"])
    def close(self, request: HttpRequest, polls: QuerySet[Poll]) -> None:
        count = 0
        for poll in polls.filter(closed_at=None).select_related("category"):
            if poll.close(request.user):  # type: ignore[arg-type]  # the admin lets nobody else in
                self.log_change(request, poll, "closed")
                count += 1
        if count:
            self.message_user(request, f"Closed {count} poll{'' if count == 1 else 's'}.", messages.SUCCESS)
        else:
            self.message_user(request, "The selected polls are already closed.", messages.WARNING)
