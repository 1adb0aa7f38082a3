"""From "Configure" in a flow to the filters, and what the form makes of them."""

from __future__ import annotations

import pytest
from django.utils.datastructures import MultiValueDict

from integrations.models import Integration, Origin
from integrations.services import SERVICES

from .flowdock_double import LOBBY, MAIN
from .github import issue_opened

pytestmark = pytest.mark.django_db

GITHUB = SERVICES["github"]
EVENTS = next(rule for rule in GITHUB.rules if rule.name == "events")


@pytest.fixture
def page(integration) -> str:
    return f"/integrations/{integration.pk}/filters/"


def shown(answer) -> MultiValueDict:
    """What a browser would send if Save were pressed on the page as it is shown."""
    fields = MultiValueDict()
    for line in answer.context["form"].lines:
        fields.appendlist("rules", line.rule.name)
        for group in line.groups:
            for box in group.boxes:
                if box.checked:
                    fields.appendlist(line.rule.name, box.value)
        if not line.groups:
            for part in ("any_of", "none_of"):
                for word in getattr(line, part):
                    fields.appendlist(f"{line.rule.name}.{part}", word)
    return fields


def save(client, page, fields) -> dict:
    answer = client.post(page, dict(fields.lists()))
    assert answer.status_code == 302, answer.content.decode()
    return Integration.objects.get(pk=page.split("/")[2]).filters


@pytest.mark.parametrize("names", ["integration_id={id}&flow={flow}", "source={id}", "source_url={url}"])
def test_configure_opens_the_filters_of_that_integration(member, integration, integrate, names):
    integrate("octo/docs")
    query = names.format(id=integration.flowdock_id, flow=MAIN, url=integration.source_url)

    answer = member.get(f"/flowdock/configure?{query}", follow=True)

    assert answer.redirect_chain[-1][0] == f"/integrations/{integration.pk}/filters/"
    assert "What octo/hello posts to Main" in answer.content.decode()


@pytest.mark.parametrize("query", ["", "integration_id=x", "source_url=https://evil.test/sources/51", "flow=" + MAIN])
def test_configure_without_an_integration_is_explained(member, query):
    assert member.get(f"/flowdock/configure?{query}").status_code == 400


@pytest.mark.parametrize("query", ["integration_id=999&flow=" + MAIN, "integration_id=51&flow=" + LOBBY])
def test_configure_of_an_unknown_integration_or_in_another_flow_is_not_found(member, integration, query):
    assert member.get(f"/flowdock/configure?{query}").status_code == 404


def test_configure_is_refused_to_people_outside_the_flow(outsider, integration):
    answer = outsider.get(f"/flowdock/configure?integration_id={integration.flowdock_id}&flow={MAIN}")

    assert answer.status_code == 404
    assert "octo/hello" not in answer.content.decode()


@pytest.fixture
def pasted(flowdock):
    """An integration that was made from a pasted token: nobody has said yet which flow it is in."""
    source = flowdock.add_source(MAIN, "demo", "octo/hello")
    return Integration.objects.create(
        origin=Origin.objects.create(service="github", name="octo/hello"),
        name="octo/hello",
        flowdock_id=source["id"],
        flow_token=source["flow_token"],
    )


def test_configuring_an_integration_of_a_pasted_token_stores_its_flow(member, pasted):
    assert member.get(f"/integrations/{pasted.pk}/").status_code == 404

    answer = member.get(f"/flowdock/configure?integration_id={pasted.flowdock_id}&flow={MAIN}", follow=True)

    assert answer.status_code == 200
    pasted.refresh_from_db()
    assert (pasted.flow_id, pasted.flow_name, pasted.organization_name) == (MAIN, "Main", "Acme")
    assert pasted.source_url


@pytest.mark.parametrize("flow", [LOBBY, "", "elsewhere"])
def test_integration_of_a_pasted_token_cannot_be_claimed_by_another_flow(outsider, member, pasted, flow):
    for client in (outsider, member):
        answer = client.get(f"/flowdock/configure?integration_id={pasted.flowdock_id}&flow={flow}")
        assert answer.status_code == 404
    pasted.refresh_from_db()
    assert pasted.flow_id == ""


def test_origin_with_two_sources_in_the_flow_is_explained(member, pasted, integrate):
    integrate(origin=pasted.origin)

    answer = member.get(f"/flowdock/configure?integration_id={pasted.flowdock_id}&flow={MAIN}")

    assert answer.status_code == 409
    assert "is connected to Main twice" in answer.content.decode()


def test_unchecked_choices_are_saved_as_excluded(member, page):
    fields = shown(member.get(page))
    unchecked = EVENTS.choices[1].value
    fields.setlist("events", [value for value in fields.getlist("events") if value != unchecked])

    assert save(member, page, fields) == {"events": {"none_of": [unchecked]}}
    boxes = {
        box.value: box.checked
        for line in member.get(page).context["form"].lines
        for group in line.groups
        for box in group.boxes
    }
    assert boxes[unchecked] is False
    assert boxes[EVENTS.choices[0].value] is True


def test_words_are_split_at_commas_and_lines_outside_quotes(member, page):
    fields = shown(member.get(page))
    fields["branches.any_of.new"] = " main, release/* "
    fields["authors.none_of.new"] = "dependabot[bot]"
    fields["labels.none_of.new"] = 'wontfix, "good, first issue"'

    assert save(member, page, fields) == {
        "branches": {"any_of": ["main", "release/*"]},
        "authors": {"none_of": ["dependabot[bot]"]},
        "labels": {"none_of": ["wontfix", "good, first issue"]},
    }


def test_unchecked_word_is_removed(member, integration, page):
    integration.filters = {"labels": {"any_of": ["bug", "docs"]}}
    integration.save()
    fields = shown(member.get(page))
    fields.setlist("labels.any_of", ["docs"])

    assert save(member, page, fields) == {"labels": {"any_of": ["docs"]}}


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"events": {"any_of": [EVENTS.choices[0].value]}},
        {"events": {"none_of": [EVENTS.choices[0].value, "a kind of later"]}},
        {"branches": {"any_of": ["main", "release/*"], "none_of": ["release/0.*"]}},
        {"labels": {"any_of": ["good, first issue", 'say "hi"', "<b>"]}},
        *(dict(preset.filters) for preset in GITHUB.presets),
    ],
)
def test_saving_unchanged_filters_changes_nothing(member, integration, page, filters):
    saved = {rule: {part: list(words) for part, words in setting.items()} for rule, setting in filters.items()}
    integration.filters = saved
    integration.save()

    assert save(member, page, shown(member.get(page))) == saved


def test_unknown_word_stays_excluded_when_filters_are_saved(member, integration, page):
    integration.filters = {"events": {"none_of": ["a kind of before"]}}
    integration.save()
    fields = shown(member.get(page))
    fields.setlist("events", [choice.value for choice in EVENTS.choices[1:]])

    assert save(member, page, fields) == {"events": {"none_of": [EVENTS.choices[0].value, "a kind of before"]}}


def test_partial_form_changes_only_the_rules_it_contains(member, integration, page):
    integration.filters = {"labels": {"none_of": ["wontfix"]}, "branches": {"any_of": ["main"]}}
    integration.save()

    assert save(member, page, MultiValueDict({"rules": ["branches"]})) == {"labels": {"none_of": ["wontfix"]}}


def test_too_many_or_too_long_words_are_refused_and_stay_in_the_form(member, integration, page):
    for words in (",".join(f"word{number}" for number in range(300)), "x" * 300):
        answer = member.post(page, {"rules": ["labels"], "labels.any_of.new": words})
        assert answer.status_code == 422
        assert words.split(",")[0] in answer.content.decode()
    integration.refresh_from_db()
    assert integration.filters == {}


def test_preset_is_shown_and_not_saved(member, integration, page):
    preset = next(preset for preset in GITHUB.presets if preset.filters)

    answer = member.get(page, {"preset": preset.name})

    assert f"The preset “{preset.title}” is filled in, but not saved yet." in answer.content.decode()
    integration.refresh_from_db()
    assert integration.filters == {}


def test_preview_counts_what_the_shown_filters_would_post(member, integration, happen, page):
    for label in ("bug", "bug", "wontfix"):
        happen(integration, body=issue_opened(label), headers={"X-GitHub-Event": "issues"})
    happen(integration, body=b"garbage")
    integration.filters = {"labels": {"none_of": ["wontfix"]}}
    integration.save()

    answer = member.get(page)

    assert (answer.context["preview"].posted, answer.context["preview"].considered) == (2, 3)
    unsaved = member.get(page, {"preset": "everything"})
    assert (unsaved.context["preview"].posted, unsaved.context["saved"].posted) == (3, 2)


def test_hostile_words_are_escaped(member, integration, page):
    integration.filters = {"labels": {"any_of": ['"><script>alert(1)</script>']}}
    integration.save()

    assert "<script>alert" not in member.get(page).content.decode()


def test_filters_of_a_removed_integration_cannot_be_saved(member, integration, page):
    integration.remove()

    answer = member.post(page, {"rules": ["labels"], "labels.any_of.new": "bug"})

    assert answer.status_code == 200
    integration.refresh_from_db()
    assert integration.filters == {}
