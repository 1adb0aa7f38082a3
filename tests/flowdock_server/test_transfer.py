"""Exporting a flow to a file, and importing it."""

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flowdock_server.models import (
    Application,
    Attachment,
    Flow,
    FlowMembership,
    Invitation,
    Message,
    Organization,
    Source,
    Tag,
    Thread,
    ThreadMark,
    User,
)
from flowdock_server.posting import chat_threads, messages
from flowdock_server.posting.drafts import Draft
from flowdock_server.transfer.loading.batches import MAX_RECORDS
from flowdock_server.transfer.record_types import FLOW, MESSAGE, RECORD_TYPES, RecordType

from .conftest import activity, basic, post
from .serving import migrated


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> tuple[str, int]:
    with pytest.raises(CommandError) as caught:
        call_command(*arguments, stdout=io.StringIO())
    return str(caught.value), caught.value.returncode


@pytest.fixture(autouse=True)
def no_files_of_other_tests():
    yield
    shutil.rmtree(storages["attachments"].location, ignore_errors=True)


@pytest.fixture
def rich(world, connect):
    """Main, with a record of every type in it."""
    source, token = connect()
    gone, _ = connect(name="octo/gone")
    gone.remove()
    thread = messages.post(Draft(**activity()), flow=world.main, source=source).thread
    hello = messages.post(
        Draft(event="message", content="Low #tide, @otto", tags=["Tide"]), flow=world.main, user=world.ines
    )
    messages.post(Draft(event="comment", content="At noon", message=hello.number), flow=world.main, user=world.ines)
    messages.post(
        Draft(event="message", content="On it", uuid="u-1", thread_id=thread.pk), flow=world.main, user=world.ines
    )
    # Posted and left the flow.
    left = User.objects.create_user("left@example.com", "Long Gone")
    messages.post(Draft(event="message", content="Farewell"), flow=world.main, user=left)
    upload = Attachment.objects.create(
        flow=world.main, message=hello, uploaded_by=world.ines,
        file_name="tide table.pdf", content_type="application/pdf", size=600_000,
    )  # fmt: skip
    storages["attachments"].save(upload.key, ContentFile(b"tide " * 120_000))
    Invitation.issue(flow=world.main, email="new@example.com", invited_by=world.ines, message="Come in")
    ThreadMark.objects.create(user=world.ines, thread=thread, done_at=datetime(2026, 1, 2, tzinfo=UTC), read_number=1)
    FlowMembership.objects.filter(flow=world.main).update(last_read_number=3)
    world.main.push_token = world.main.issue_api_token()
    world.main.flow_token = token
    return world.main


def contents(flow: Flow) -> list[dict]:
    """The records of an export, without the first, which says when and where it was made."""
    from flowdock_server.transfer import export

    return list(export.records(flow, passwords=True))[1:]


def exported(flow: Flow, path: Path, *options: str) -> Path:
    run(
        "export_flow",
        f"{flow.organization.parameterized_name}/{flow.parameterized_name}",
        "--output",
        str(path),
        *options,
    )
    return path


def stored(key: str) -> bytes:
    with storages["attachments"].open(key) as file:
        return file.read()


def empty_the_server() -> None:
    for message in Message.objects.all():
        message.delete()
    for model in (Thread, Source, Application, Attachment, Flow, Organization, User):
        model.objects.all().delete()
    assert not Tag.objects.exists()


class TestExportAndImport:
    def test_imported_flow_equals_the_exported_one(self, rich, tmp_path):
        before = contents(rich)
        kinds = {record["type"] for record in before}
        assert kinds >= {kind.name for kind in RECORD_TYPES} | {"bytes", "end"}
        path = exported(rich, tmp_path / "main.jsonl", "--passwords")
        key = rich.attachments.get().key
        storages["attachments"].delete(key)
        empty_the_server()

        said = run("import_flow", str(path), "--passwords")

        assert contents(Flow.objects.get(pk=rich.pk)) == before
        assert "/app/acme/main: " in said
        assert "5 messages" in said
        assert stored(key) == b"tide " * 120_000

    def test_users_and_sources_keep_their_access(self, rich, tmp_path):
        path = exported(rich, tmp_path / "main.jsonl", "--passwords")
        token, number = rich.flow_token, rich.last_number
        empty_the_server()

        run("import_flow", str(path), "--passwords")

        client = basic("ines@example.com", "a password")
        found = client.get("/flows/acme/main/messages", {"tags": "tide"}).json()
        assert [message["content"] for message in found] == ["Low #tide, @otto"]
        found = client.get("/flows/acme/main/messages", {"search": "farewell"}).json()
        assert [message["content"] for message in found] == ["Farewell"]
        comment = client.get("/flows/acme/main/messages", {"event": "comment"}).json()[0]
        assert comment["content"]["title"] == "Low #tide, @otto"
        posted = client.post("/messages", {"flow_token": token, **activity()}, content_type="application/json")
        assert posted.status_code == 201
        assert Flow.objects.get().last_number == number + 6
        assert (
            client.post("/flows/acme/main/messages", {"event": "message", "content": "Hi"}).json()["id"] == number + 7
        )

    def test_importing_the_same_file_again_changes_nothing(self, rich, tmp_path):
        path = exported(rich, tmp_path / "main.jsonl", "--passwords")
        before = contents(rich)

        assert "nothing new" in run("import_flow", str(path))
        assert contents(Flow.objects.get(pk=rich.pk)) == before

    def test_later_export_adds_new_and_edited_messages(self, rich, world, tmp_path):
        early = exported(rich, tmp_path / "early.jsonl")
        messages.post(
            Draft(**activity(title="merged", thread={"title": "Now merged"})), flow=rich, source=rich.sources.first()
        )
        Message.objects.filter(flow=rich, number=2).update(
            content="Low tide, corrected", edited_at="2030-01-01T00:00:00Z"
        )
        late = exported(rich, tmp_path / "late.jsonl")
        after = contents(rich)
        empty_the_server()

        run("import_flow", str(early))
        assert ": 1 message\n" in run("import_flow", str(late))

        without_passwords = [record | {"password": None} if record["type"] == "user" else record for record in after]
        now = [
            record | {"password": None} if record["type"] == "user" else record
            for record in contents(Flow.objects.get())
        ]
        assert now == without_passwords

    def test_message_with_a_reply_since_joins_its_thread(self, world, tmp_path):
        first = messages.post(Draft(event="message", content="Low tide?"), flow=world.main, user=world.ines)
        early = exported(world.main, tmp_path / "early.jsonl")
        reply = Draft(event="message", content="At noon", thread_id=chat_threads.thread_id(world.main.pk, 1))
        thread = messages.post(reply, flow=world.main, user=world.otto).thread
        late = exported(world.main, tmp_path / "late.jsonl")
        empty_the_server()

        run("import_flow", str(early))
        run("import_flow", str(late))

        flow = Flow.objects.get()
        assert flow.messages.get(number=first.number).thread_id == thread.pk
        assert not chat_threads.without_replies(flow).exists()

    def test_copy_beside_the_original_has_its_own_ids_and_files(self, rich, tmp_path):
        path = exported(rich, tmp_path / "main.jsonl")

        for _ in range(2):
            run("import_flow", str(path), "--into", "acme/copy")

        copy = Flow.objects.get(parameterized_name="copy")
        assert copy.pk != rich.pk
        assert copy.messages.count() == rich.messages.count()
        titles = [flow.threads.values_list("title", flat=True).order_by("created_at") for flow in (copy, rich)]
        assert list(titles[0]) == list(titles[1])
        assert not copy.threads.filter(pk__in=rich.threads.values("pk")).exists()
        assert stored(copy.attachments.get().key) == b"tide " * 120_000
        # The tokens still belong to the original.
        assert Source.objects.filter(flow=rich, token_digest=rich.sources.first().token_digest).exists()
        assert copy.api_token_digest is None

    def test_existing_users_are_recognized_by_email_address(self, rich, world, tmp_path):
        Message.objects.filter(flow=rich, number=2).update(tags=[f":user:{world.otto.pk}", "tide"])
        path = exported(rich, tmp_path / "main.jsonl")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        moved = {world.ines.pk: 9001, world.otto.pk: 9002}
        for record in lines:
            if record["type"] == "user":
                record["id"] = moved.get(record["id"], record["id"])
            for name in ("user", "creator", "invited_by", "uploaded_by"):
                if name in record:
                    record[name] = moved.get(record[name], record[name])
            if record["type"] == "message":
                record["tags"] = [tag.replace(f":user:{world.otto.pk}", ":user:9002") for tag in record["tags"]]
        lines.insert(4, {"type": "user", "id": 9002, "email": "Otto@example.com", "name": "O", "nick": "o"})
        path.write_text("\n".join(map(json.dumps, lines)))

        run("import_flow", str(path), "--into", "acme/copy")

        mention = Message.objects.get(flow__parameterized_name="copy", number=2)
        assert mention.user == world.ines
        assert mention.tags == [f":user:{world.otto.pk}", "tide"]
        assert mention.tag_rows.filter(name=f":user:{world.otto.pk}").exists()

    def test_image_and_its_thumbnail_stay_separate_files(self, rich, tmp_path):
        picture = rich.attachments.get()
        picture.thumbnail_width, picture.thumbnail_height = 32, 32
        picture.save()
        storages["attachments"].save(picture.thumbnail_key, ContentFile(b"small"))
        path = exported(rich, tmp_path / "main.jsonl")

        run("import_flow", str(path), "--into", "acme/copy")

        copy = Flow.objects.get(parameterized_name="copy").attachments.get()
        assert (stored(copy.key), stored(copy.thumbnail_key)) == (b"tide " * 120_000, b"small")

    def test_compressed_file_is_readable_by_its_owner_only(self, rich, tmp_path):
        path = exported(rich, tmp_path / "main.jsonl.gz")

        assert json.loads(gzip.decompress(path.read_bytes()).splitlines()[0])["format"] == 1
        assert path.stat().st_mode & 0o077 == 0
        assert "nothing new" in run("import_flow", str(path))

    def test_passwords_are_exported_only_on_request(self, rich, tmp_path):
        assert "password" not in exported(rich, tmp_path / "main.jsonl").read_text()
        path = tmp_path / "main.jsonl"
        empty_the_server()

        run("import_flow", str(path))

        assert not User.objects.get(email="ines@example.com").has_usable_password()

    def test_export_without_files(self, rich, tmp_path):
        types = [
            json.loads(line)["type"] for line in exported(rich, tmp_path / "a", "--no-files").read_text().splitlines()
        ]

        assert "attachment" in types
        assert "bytes" not in types

    def test_import_takes_few_queries_for_each_batch_of_messages(self, world, tmp_path):
        path = tmp_path / "long.jsonl"
        head = exported(world.main, tmp_path / "head.jsonl").read_text().splitlines()
        batches = 4
        with path.open("w") as file:
            file.write("\n".join(head[:-1]) + "\n")
            for number in range(1, MAX_RECORDS * batches + 1):
                message = {
                    "type": "message", "number": number, "event": "message", "content": "tide", "tags": ["tide"],
                    "user": world.ines.pk, "created_at": "2026-01-02T03:04:05.678+00:00", "parent": number - 1 or None,
                }  # fmt: skip
                file.write(json.dumps(message) + "\n")
            file.write('{"type": "end"}\n')

        with CaptureQueriesContext(connection) as queries:
            run("import_flow", str(path))

        assert world.main.messages.count() == Tag.objects.filter(name="tide").count() == MAX_RECORDS * batches
        assert world.main.messages.get(number=MAX_RECORDS + 1).parent.number == MAX_RECORDS
        assert len(queries) < batches * 40 + 60


@pytest.mark.parametrize("kind", RECORD_TYPES, ids=lambda kind: kind.name)
def test_every_field_is_exported_or_excluded_by_name(kind: RecordType):
    names = {field.name for field in kind.model._meta.concrete_fields}

    assert kind.excluded <= names
    assert set(kind.references) <= names
    for field in kind.fields:
        # A message is identified by its number in the flow, not by its id in this database.
        assert not (field.primary_key and kind in (MESSAGE,)), field.name
    assert "organization" in FLOW.excluded


def test_every_model_of_a_flow_is_exported():
    of_a_flow = {
        related.related_model
        for model in (Flow, Thread, Message, Source, Attachment)
        for related in model._meta.related_objects
    }

    not_exported = {model.__name__ for model in of_a_flow - {kind.model for kind in RECORD_TYPES}}
    assert not_exported == {"Tag", "Indexed"}  # both are derived from the messages


class TestRefusals:
    def test_address_of_another_flow_is_refused(self, rich, tmp_path):
        path = exported(rich, tmp_path / "main.jsonl")
        rich.parameterized_name = "elsewhere"
        rich.save()

        said, code = refused("import_flow", str(path))
        assert (code, "another address on this server: acme/elsewhere" in said) == (1, True)

        rich.organization.flows.create(name="Main", parameterized_name="main")
        assert "acme/main is another flow" in refused("import_flow", str(path))[0]

    def test_file_of_another_flow_is_refused(self, rich, world, tmp_path):
        path = exported(rich, tmp_path / "main.jsonl")
        messages.post(Draft(event="message", content="Mine"), flow=world.lobby, user=world.otto)
        before = world.lobby.messages.count()

        said, code = refused("import_flow", str(path), "--into", "acme/lobby")

        assert (code, "message 1 differs" in said) == (1, True)
        assert world.lobby.messages.count() == before

    def test_truncated_file_is_refused(self, rich, tmp_path):
        path = exported(rich, tmp_path / "main.jsonl")
        whole = path.read_text().splitlines()
        path.write_text("\n".join(whole[:-3]))
        empty_the_server()

        assert "without its end record" in refused("import_flow", str(path))[0]
        assert Message.objects.count() == 5  # these stay, and importing the whole file adds the rest

        path.write_text("\n".join(whole))
        run("import_flow", str(path))

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("{", "line 1: this is not valid JSON"),
            ("7", "not an object with a type"),
            ('{"type": 7}', "not an object with a type"),
            ('{"type": "export", "format": 2}', "has format 2"),
            ('{"type": "flow", "id": "x"}', "flow.id"),
            (
                '{"type": "message", "number": 1, "event": "message", "created_at": "2026-01-02"}',
                "the flow's record must come first",
            ),
            ('{"type": "organization", "name": "x"}', "parameterized_name"),
            ('{"type": "organization", "parameterized_name": "private", "name": "x"}', "is the address of a page"),
            ('{"type": "organization", "parameterized_name": "x", "name": null}', "organization.name must not be null"),
            ('{"type": "user", "id": 1, "email": "a@b.cc", "name": "' + "x" * 101 + '"}', "longer than 100"),
            ('{"type": "member", "user": 99}', "refers to user 99"),
            ('{"type": "bytes", "key": "' + "k" * 32 + '", "data": "="}', "the flow's record must come first"),
        ],
    )
    def test_error_names_the_line(self, db, tmp_path, line, reason):
        path = tmp_path / "wrong.jsonl"
        path.write_text(line + "\n")

        said, code = refused("import_flow", str(path))

        assert (code, reason in said, "line 1" in said) == (1, True, True), said

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"created_at": "yesterday"}, "message.created_at"),
            ({"user": 4711}, "refers to user 4711"),
            ({"number": 10**30}, "message.number"),
            ({"number": -4}, "message.number must be at least 1"),
            ({"number": None}, "message.number must not be null"),
            ({"event": "telepathy"}, "message.event has the unknown value 'telepathy'"),
            ({"content": "a\0b"}, "message.content contains a character that cannot be stored"),
            ({"data": {"a": ["\ud800"]}}, "message.data contains a character that cannot be stored"),
            ({"tags": 5}, "message.tags must be a list of strings"),
            ({"thread": "x" * 27}, "message 4 refers to a thread that no earlier line defines"),
        ],
    )
    def test_error_in_a_message_names_its_line(self, world, as_person, tmp_path, change, reason):
        for number in range(9):
            post(as_person(world.ines), "/flows/acme/main/messages", {"event": "message", "content": f"{number}"})
        path = exported(world.main, tmp_path / "wrong.jsonl")
        records = [json.loads(line) for line in path.read_text().splitlines()]
        place = next(place for place, record in enumerate(records) if record.get("number") == 4)
        whole = json.dumps(records[place])
        records[place] |= change
        records[place + 1 : place + 1] = [{"type": "of a later version"}] if "thread" in change else []
        path.write_text("\n".join(map(json.dumps, records)) + "\n")
        empty_the_server()

        said, code = refused("import_flow", str(path))

        assert (code, reason in said) == (1, True), said
        assert f"line {place + 1 + ('thread' in change)}" in said
        assert "Fix it and run this again" in said
        lines = path.read_text().splitlines()
        lines[place] = whole
        path.write_text("\n".join(lines))
        run("import_flow", str(path))
        assert Message.objects.count() == 9

    def test_empty_file_is_refused(self, db, tmp_path):
        (tmp_path / "nothing").touch()

        assert "the file is empty" in refused("import_flow", str(tmp_path / "nothing"))[0]

    def test_missing_flow_and_file_are_errors(self, world, tmp_path):
        assert refused("export_flow", "acme/none") == ("There is no flow acme/none", 1)
        assert refused("import_flow", str(tmp_path / "none"))[1] == 1
        assert refused("export_flow", "acme/main", "--output", str(tmp_path / "no" / "folder"))[1] == 1


class TestPipes:
    def test_file_is_read_from_standard_input(self, rich, tmp_path, monkeypatch):
        written = exported(rich, tmp_path / "main.jsonl").read_bytes()

        for given in (written, gzip.compress(written)):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(given))))
            assert "nothing new" in run("import_flow", "-")

    def test_error_names_standard_input(self, db, monkeypatch):
        given = b'{"type": "export", "format": 9}\n'
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(given))))

        said, code = refused("import_flow", "-")

        assert (code, "Standard input: line 1: the file has format 9" in said) == (1, True), said

    def test_processes_move_a_flow_through_pipes(self, rich, tmp_path):
        written = exported(rich, tmp_path / "main.jsonl").read_bytes()
        migrated(tmp_path / "there")

        def server(*arguments, given=b""):
            settings = {"DATA_DIR": str(tmp_path / "there"), "FLOWDOCK_SERVER_SECRET_KEY": "x"}
            return subprocess.run(
                [sys.executable, "-m", "flowdock_server", *arguments],
                env=os.environ | settings | {"FLOWDOCK_SERVER_DATABASE_URL": ""},
                input=given, capture_output=True, timeout=60, check=False,
            )  # fmt: skip

        read = server("import_flow", "-", given=written)
        exported_again = server("export_flow", "acme/main")

        assert (read.returncode, exported_again.returncode) == (0, 0), read.stderr + exported_again.stderr
        assert b"1 flow, 2 users" in read.stdout
        assert exported_again.stdout.splitlines()[1:] == written.splitlines()[1:]


FLOW_ID = "6f67fd0b-b764-4661-9e53-c38293d1e997"
THREAD_ID = "EsRcaG9HXbFCPx4O0DKwb2xnHtU"
ORIGINAL = [
    {
        "id": 7, "event": "message", "content": "Käse ☂ @tom #tide", "user": "11", "sent": 1317397485508,
        "flow": FLOW_ID, "created_at": "2011-09-30T15:44:45.508Z", "tags": ["tide", ":user:12"],
        "app": "chat", "attachments": [], "uuid": "u", "thread_id": "abcdefghijklmnopqrstuvwxyz0",
    },
    {
        "id": 8, "event": "comment", "content": {"title": "Käse", "text": "Where?"}, "user": "12",
        "sent": 1317397490000, "flow": FLOW_ID, "tags": ["influx:7"], "app": "chat", "attachments": [],
    },
    {
        "id": 9, "event": "file", "user": "11", "sent": 1317397495000, "flow": FLOW_ID, "tags": [":file"],
        "app": "chat",
        "content": {"file_name": "tide table.txt", "content_type": "text/plain", "file_size": 10},
        "attachments": [{
            "file_name": "tide table.txt", "content_type": "text/plain", "file_size": 10,
            "path": "/files/123/ec53a7aa/tide%20table.txt",
        }],
    },
    {
        "id": 10, "event": "activity", "user": "0", "sent": 1417397495000, "flow": FLOW_ID, "tags": [], "app": "influx",
        "title": "opened pull request", "author": {"name": "Lea", "avatar": None}, "thread_id": THREAD_ID,
        "thread": {
            "title": "Warn before low tide", "external_url": "https://git.test/42", "body": "<p>Late</p>",
            "status": {"value": "open", "color": "green"}, "fields": [{"label": "Branch", "value": "low-tide"}],
            "source": {"id": 3, "name": "octo/hello", "application": {"id": 2, "name": "GitHub"}},
        },
    },
    {
        "id": 11, "event": "message", "content": "Nice", "user": "11", "sent": 1417397496000, "flow": FLOW_ID,
        "tags": [], "app": "chat", "thread_id": THREAD_ID, "edited": 1417397497000,
    },
    {"id": 12, "event": "activity.user", "content": {"last_activity": 1}, "user": "11", "sent": 1417397497000},
    {
        "id": 13, "event": "vcs", "user": "0", "sent": 1417397498000, "flow": FLOW_ID, "tags": ["git"], "app": "influx",
        "content": {"event": "push", "pusher": {"name": "octo"}},
    },
    {
        "id": 14, "event": "mail", "user": "0", "sent": 1417397499000, "flow": FLOW_ID, "tags": [], "app": "influx",
        "content": {"subject": "Storm", "content": "<b>West</b>", "from": [{"name": "Met", "address": "met@x.test"}],
                    "source": "Buoy", "reply_to": [{"address": "re@x.test"}]},
    },
    {
        "id": 15, "event": "message", "content": "Built", "user": "0", "external_user_name": "ci",
        "sent": 1417397500000, "flow": FLOW_ID, "tags": [], "app": "chat",
    },
]  # fmt: skip
PEOPLE = [
    {"id": 11, "email": "Ines@example.com", "nick": "ines", "name": "Ines Rao", "avatar": "https://x.test/i"},
    {"id": 99, "email": "quiet@example.com", "nick": "quiet", "name": "Never Spoke"},
]


class TestFlowdockArchives:
    @pytest.fixture
    def archive(self, tmp_path):
        path = tmp_path / "main-2023-08-01.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("main/messages.json", json.dumps(ORIGINAL, ensure_ascii=False))
            file.writestr("main/files/ec53a7aa/tide table.txt", "03:12 low\n")
        (tmp_path / "users.json").write_text(json.dumps(PEOPLE))
        return path

    def read(self, path, *options: str) -> str:
        return run("import_flow", str(path), "--into", "acme/old", "--users", str(path.parent / "users.json"), *options)

    def test_messages_are_imported_as_the_api_had_them(self, world, archive):
        said = self.read(archive, "--members")

        assert "8 messages" in said
        assert "Left out 1 message that only client programs use" in said
        flow = Flow.objects.get(parameterized_name="old")
        assert (str(flow.pk), flow.last_number) == (FLOW_ID, 15)
        listed = basic("ines@example.com", "a password").get("/flows/acme/old/messages").json()
        assert [message["id"] for message in listed] == [7, 8, 9, 10, 11, 13, 14, 15]
        by_id = {message["id"]: message for message in listed}
        assert by_id[7]["content"] == "Käse ☂ @tom #tide"
        assert by_id[7]["user"] == str(world.ines.pk)  # recognized by her e-mail address
        assert by_id[7]["sent"] == 1317397485508
        assert by_id[8]["content"] == {"title": "Käse ☂ @tom #tide", "text": "Where?"}
        assert by_id[10]["thread_id"] == THREAD_ID
        assert by_id[10]["thread"]["status"] == {"value": "open", "color": "green"}
        assert by_id[11]["edited"] == 1417397497000
        assert (by_id[15]["user"], by_id[15]["external_user_name"]) == ("0", "ci")

    def test_unstorable_characters_and_unknown_events_are_replaced(self, world, tmp_path):
        path = tmp_path / "messages.json"
        messages = [
            {"id": 1, "event": "message", "content": "half a \ud83d and a \0", "user": "11", "sent": 1, "app": "chat"},
            {"id": 2, "event": "carrier-pigeon", "content": "coo", "user": "0", "sent": 2, "app": "influx"},
        ]
        path.write_text(json.dumps(messages))

        run("import_flow", str(path), "--into", "acme/main")

        assert list(world.main.messages.values_list("event", "content", "title")) == [
            ("message", "half a ? and a ?", ""),
            ("mail", "", "coo"),
        ]

    def test_authors_without_a_known_name_cannot_sign_in(self, world, archive):
        self.read(archive)

        unknown = User.objects.get(email="user-12@flowdock.invalid")
        assert (unknown.name, unknown.is_active, unknown.has_usable_password()) == ("User 12", False, False)
        assert not User.objects.filter(email="quiet@example.com").exists()
        assert Message.objects.get(number=7).tags == ["tide", f":user:{unknown.pk}"]
        assert not Flow.objects.get(parameterized_name="old").memberships.exists()  # only with --members

    def test_threads_have_their_last_state(self, world, archive):
        self.read(archive)

        thread = Thread.objects.get(pk=THREAD_ID)
        assert (thread.title, thread.activities, thread.internal_comments) == ("Warn before low tide", 1, 1)
        assert (thread.last_title, thread.fields) == ("Nice", [{"label": "Branch", "value": "low-tide"}])
        assert (thread.source.name, thread.source.application.name) == ("octo/hello", "GitHub")
        assert thread.source.removed_at
        chat = Thread.objects.get(pk="abcdefghijklmnopqrstuvwxyz0")
        assert (chat.source, chat.title) == (None, "Käse ☂ @tom #tide")

    def test_former_kinds_of_messages_become_mail_with_the_original_content(self, world, archive):
        self.read(archive)

        push, storm = Message.objects.filter(event="mail").order_by("number")
        assert push.data["original_content"] == {"event": "push", "pusher": {"name": "octo"}}
        assert push.title == "push"
        assert (storm.title, storm.body, storm.author_name) == ("Storm", "<b>West</b>", "Met")
        assert storm.thread.title == "Storm"
        assert (storm.data["source"], storm.data["reply_to"], push.data["source"]) == ("Buoy", "re@x.test", "vcs")

    def test_attachments_are_read_from_the_zip(self, world, archive):
        self.read(archive)

        attachment = Attachment.objects.get()
        assert attachment.message.number == 9
        assert stored(attachment.key) == b"03:12 low\n"

    def test_importing_the_same_archive_again_changes_nothing(self, world, archive):
        self.read(archive)
        before = contents(Flow.objects.get(parameterized_name="old"))

        assert "nothing new" in self.read(archive)
        assert contents(Flow.objects.get(parameterized_name="old")) == before

    @pytest.mark.parametrize("form", ["folder", "messages.json"])
    def test_unpacked_archive_is_imported(self, world, archive, form, tmp_path):
        with zipfile.ZipFile(archive) as file:
            file.extractall(tmp_path / "unpacked")
        path = tmp_path / "unpacked" / "main" if form == "folder" else tmp_path / "unpacked" / "main" / "messages.json"

        said = run("import_flow", str(path), "--into", "acme/old")

        assert "8 messages" in said
        assert ("1 file" in said) == (form == "folder")

    def test_messages_in_descending_order_are_imported(self, world, tmp_path):
        path = tmp_path / "messages.json"
        path.write_text(json.dumps(ORIGINAL[::-1]))

        run("import_flow", str(path), "--into", "acme/old")

        assert Message.objects.get(number=8).parent.number == 7
        assert Thread.objects.get(pk=THREAD_ID).last_title == "Nice"

    def test_message_longer_than_one_read_is_imported(self, world, tmp_path):
        path = tmp_path / "messages.json"
        long = "☂" * 700_000
        path.write_text(json.dumps([ORIGINAL[0] | {"content": long}, *ORIGINAL[1:]], ensure_ascii=False, indent=2))

        run("import_flow", str(path), "--into", "acme/old")

        assert Message.objects.get(number=7).content == long

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ('[{"id": 1, "event": "message", "content": "Hi", "sent": 1}', "ends before the end"),
            ('[{"id": 1, "event": ', "ends inside a message"),
            ("[1]", "not an array of messages"),
            ('[{"hello": 1}]', "not a message with id and event"),
            ('[{"id": "x", "event": "message"}]', "not a message with id and event"),
            ('[{"id": 1, "event": "message", "sent": "noon"}]', "message 1 cannot be read"),
            (
                '[{"id": 1, "event": "activity", "thread_id": "x", "thread": {"fields": [1]}}]',
                "message 1 cannot be read",
            ),
            ('["\udcff"]', "not UTF-8"),
        ],
    )
    def test_invalid_archive_is_refused(self, world, tmp_path, text, reason):
        path = tmp_path / "messages.json"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))

        said, code = refused("import_flow", str(path), "--into", "acme/old")

        assert (code, reason in said) == (1, True), said

    def test_missing_arguments_and_files_are_errors(self, world, archive, tmp_path):
        assert refused("import_flow", str(archive))[1] == 2
        with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
            pass
        assert (
            "contains no messages.json" in refused("import_flow", str(tmp_path / "empty.zip"), "--into", "acme/old")[0]
        )
        (tmp_path / "users.json").write_text("{}")
        assert refused("import_flow", str(archive), "--into", "acme/x", "--users", str(tmp_path / "users.json"))[1] == 2
