"""Importing files and archives that were made to harm the server."""

import errno
import gzip
import itertools
import json
import os
import stat
import struct
import tracemalloc
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.core.management.base import CommandError
from django.db import OperationalError, connection
from django.test import Client

from flowdock_server.models import (
    Application,
    Attachment,
    Flow,
    FlowMembership,
    Invitation,
    Membership,
    Message,
    Source,
    User,
)
from flowdock_server.secrets.tokens import digest, new_token
from flowdock_server.transfer.archive import conversion
from flowdock_server.transfer.archive import files as archive_files

from .conftest import activity, basic
from .test_transfer import ORIGINAL, empty_the_server, exported, no_files_of_other_tests, refused, rich, run

__all__ = ["no_files_of_other_tests", "rich"]

FLOW = "6f67fd0b-b764-4661-9e53-c38293d1e997"
GUEST = {"type": "user", "id": 900, "email": "guest@example.com", "name": "Guest", "nick": "guest"}
APPLICATION = {"type": "application", "client_id": "guest-app", "name": "Guest's", "redirect_uris": "https://x.test/"}
MOMENT = "2026-01-02T03:04:05+00:00"


def file_of(path: Path, *records: dict, organization: str = "acme", flow: str = FLOW, name: str = "new") -> str:
    """A file with `records` in the flow, written by hand."""
    head = [
        {"type": "export", "format": 1},
        {"type": "organization", "name": organization, "parameterized_name": organization},
        {"type": "flow", "id": flow, "name": name, "parameterized_name": name, "access_mode": "link"},
        GUEST,
    ]
    path.write_text("\n".join(json.dumps(record) for record in (*head, *records, {"type": "end"})))
    return str(path)


class TestAccess:
    """What access an import grants."""

    GUEST_ACCESS = (
        {"type": "colleague", "user": 900, "admin": True},
        {"type": "member", "user": 900},
        {
            "type": "invitation", "id": 1, "email": "other@example.com", "token_digest": digest("known"),
            "created_at": MOMENT, "state": "pending", "invited_by": None,
        },
    )  # fmt: skip

    def test_file_adds_nobody_to_an_existing_organization(self, world, tmp_path):
        before = list(Membership.objects.values_list("organization", "user", "admin"))

        said = run("import_flow", file_of(tmp_path / "file", *self.GUEST_ACCESS))

        assert list(Membership.objects.values_list("organization", "user", "admin")) == before
        assert not FlowMembership.objects.filter(user__email="guest@example.com").exists()
        assert not Invitation.objects.exists()
        assert Flow.objects.get(pk=FLOW).access_mode == "invitation"
        assert "Access not granted: 1 organization member, 1 flow member, 1 invitation" in said

    def test_file_adds_nobody_to_an_existing_flow(self, world, tmp_path):
        run("import_flow", file_of(tmp_path / "file", *self.GUEST_ACCESS, flow=str(world.main.pk), name="main"))

        assert not FlowMembership.objects.filter(user__email="guest@example.com").exists()

    def test_members_option_adds_members_but_no_admins(self, world, tmp_path):
        run("import_flow", file_of(tmp_path / "file", *self.GUEST_ACCESS), "--members")

        assert not Membership.objects.get(user__email="guest@example.com").admin
        assert FlowMembership.objects.filter(user__email="guest@example.com", flow=FLOW).exists()
        assert Invitation.objects.filter(email="other@example.com").exists()

    def test_existing_member_does_not_become_an_admin(self, world, tmp_path):
        otto = {"type": "user", "id": 901, "email": "otto@example.com", "name": "O", "nick": "o"}
        admin = {"type": "colleague", "user": 901, "admin": True}

        run("import_flow", file_of(tmp_path / "file", otto, admin), "--members")

        assert not Membership.objects.get(organization=world.acme, user=world.otto).admin

    def test_organization_created_by_the_import_has_the_members_of_the_file(self, world, tmp_path):
        run("import_flow", file_of(tmp_path / "file", *self.GUEST_ACCESS, organization="fresh"))

        assert Membership.objects.get(organization__parameterized_name="fresh").admin
        assert FlowMembership.objects.get(flow=FLOW).user.email == "guest@example.com"

    def test_flow_token_of_the_file_cannot_post_to_an_existing_flow(self, world, tmp_path):
        token = new_token()
        source = {
            "type": "source", "id": 77, "application": "guest-app", "creator": None, "name": "octo/hello",
            "token_digest": digest(token), "created_at": MOMENT, "updated_at": MOMENT,
        }  # fmt: skip
        lines = (APPLICATION, source)

        said = run("import_flow", file_of(tmp_path / "file", *lines, flow=str(world.main.pk), name="main"))
        posted = Client().post("/messages", {"flow_token": token, **activity()}, content_type="application/json")

        assert posted.status_code == 401
        assert "1 flow token" in said
        assert not world.main.messages.exists()
        assert Source.objects.get(flow=world.main).name == "octo/hello"

    def test_password_of_the_file_signs_nobody_in(self, world, tmp_path):
        guest = GUEST | {"id": 902, "email": "boss@example.com", "password": world.ines.password}

        said = run("import_flow", file_of(tmp_path / "file", guest))

        assert basic("ines@example.com", "a password").get("/user").status_code == 200
        assert basic("boss@example.com", "a password").get("/user").status_code == 401
        assert "1 password" in said

    def test_application_is_not_published_and_asks_for_consent(self, world, tmp_path):
        greedy = {
            "published": True, "skip_authorization": True, "authorization_grant_type": "password",
            "client_type": "public", "client_secret": "!",
        }  # fmt: skip

        run("import_flow", file_of(tmp_path / "file", APPLICATION | greedy))

        made = Application.objects.get(client_id="guest-app")
        assert (made.published, made.skip_authorization) == (False, False)
        assert (made.client_type, made.authorization_grant_type) == ("confidential", "authorization-code")

    def test_existing_users_and_applications_are_not_changed(self, world, tmp_path):
        ines = GUEST | {"id": 903, "email": "Ines@example.com", "name": "Fool", "password": "!", "is_active": False}
        lights = APPLICATION | {"client_id": "build-lights", "redirect_uris": "https://evil.test/"}
        before = User.objects.filter(pk=world.ines.pk).values().get()

        run("import_flow", file_of(tmp_path / "file", ines, lights), "--passwords", "--members")

        assert User.objects.filter(pk=world.ines.pk).values().get() == before
        assert Application.objects.get(client_id="build-lights").redirect_uris == "https://lights.test/callback"


class TestOtherFlows:
    """A file has no access to flows other than its own."""

    def test_second_organization_or_flow_is_refused(self, world, tmp_path):
        fresh = {"type": "organization", "name": "Fresh", "parameterized_name": "fresh"}
        acme = fresh | {"parameterized_name": "acme"}
        main = {"type": "flow", "id": str(world.main.pk), "name": "Main", "parameterized_name": "main"}

        for number, (organization, lines) in enumerate((("acme", [fresh]), ("new", [acme]), ("other", [main]))):
            flow = FLOW[:-1] + str(number)
            path = file_of(tmp_path / "file", *lines, *TestAccess.GUEST_ACCESS, organization=organization, flow=flow)
            assert "line 5: the file has a second" in refused("import_flow", path)[0]
        assert not FlowMembership.objects.filter(user__email="guest@example.com").exists()

    @pytest.mark.parametrize(
        "line",
        [
            GUEST | {"id": 905, "email": "x@example.com\nBcc: all@example.com"},
            {"type": "organization", "name": "x", "parameterized_name": "../x"},
        ],
    )
    def test_invalid_address_is_refused(self, db, tmp_path, line):
        (tmp_path / "file").write_text(json.dumps(line))

        assert "line 1" in refused("import_flow", str(tmp_path / "file"))[0]

    def test_mark_on_a_thread_of_another_flow_is_refused(self, rich, tmp_path):
        mark = {"type": "mark", "user": 900, "thread": rich.threads.first().pk, "read_number": 5}

        assert "line 5: it refers to thread" in refused("import_flow", file_of(tmp_path / "file", mark))[0]

    @pytest.mark.parametrize("ending", ["", ".thumbnail"])
    def test_attachment_of_another_flow_is_refused(self, rich, tmp_path, ending):
        key = rich.attachments.get().key + ending
        stolen = {
            "type": "attachment", "key": key, "message": None, "file_name": "mine", "content_type": "text/plain",
            "size": 1,
        }  # fmt: skip

        assert "line 5" in refused("import_flow", file_of(tmp_path / "file", stolen))[0]
        assert Attachment.objects.get().flow == rich

    @pytest.mark.parametrize("key", ["../../../../etc/escaped", "/etc/escaped", "..", "a/b", "a" * 15, "\0" * 20])
    def test_key_that_leads_out_of_the_storage_is_refused(self, world, tmp_path, key):
        lines = (
            {"type": "message", "number": 1, "event": "message", "content": "x", "created_at": MOMENT},
            {
                "type": "attachment", "key": key, "message": 1, "file_name": "x", "content_type": "text/plain",
                "size": 4,
            },
            {"type": "bytes", "key": key, "data": "YQ=="},
        )  # fmt: skip

        said, code = refused("import_flow", file_of(tmp_path / "file", *lines))

        assert (code, "line 6" in said) == (1, True), said
        assert not Attachment.objects.exists()


class TestLinks:
    @pytest.fixture
    def folder(self, tmp_path):
        """An unpacked archive without the file of its message 9, "tide table.txt", and a secret beside it."""
        (tmp_path / "secret").write_text("a secret of the server")
        place = tmp_path / "unpacked" / "files" / "ec53a7aa"
        place.mkdir(parents=True)
        (tmp_path / "unpacked" / "messages.json").write_text(json.dumps(ORIGINAL))
        return tmp_path / "unpacked"

    def test_symbolic_link_is_not_followed(self, world, folder, tmp_path):
        (folder / "files" / "ec53a7aa" / "tide table.txt").symlink_to(tmp_path / "secret")

        said = run("import_flow", str(folder), "--into", "acme/old")

        assert "Left out 1 symbolic or hard link in the folder" in said
        assert not storages["attachments"].exists(Attachment.objects.get().key)

    def test_symbolic_link_to_a_folder_is_not_followed(self, world, folder, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "tide table.txt").write_text("a secret of the server")
        (folder / "more").symlink_to(tmp_path / "elsewhere")

        run("import_flow", str(folder), "--into", "acme/old")

        assert not storages["attachments"].exists(Attachment.objects.get().key)

    def test_hard_link_is_not_read(self, world, folder, tmp_path):
        os.link(tmp_path / "secret", folder / "files" / "ec53a7aa" / "tide table.txt")

        run("import_flow", str(folder), "--into", "acme/old")

        assert not storages["attachments"].exists(Attachment.objects.get().key)

    def test_pipe_does_not_block_the_import(self, world, folder):
        os.mkfifo(folder / "files" / "ec53a7aa" / "tide table.txt")

        assert "8 messages" in run("import_flow", str(folder), "--into", "acme/old")

    def test_messages_json_that_is_a_link_is_not_read(self, world, folder, tmp_path):
        os.replace(folder / "messages.json", tmp_path / "secret")
        (folder / "messages.json").symlink_to(tmp_path / "secret")

        assert "contains no messages.json" in refused("import_flow", str(folder), "--into", "acme/old")[0]

    @pytest.mark.parametrize("path", ["/files/1/../../secret", "/../secret", "/etc/passwd", "../../secret"])
    def test_path_of_an_attachment_cannot_lead_outside(self, world, folder, tmp_path, path):
        message = ORIGINAL[2] | {"attachments": [{"file_name": Path(path).name, "path": path}]}
        (folder / "messages.json").write_text(json.dumps([message]))

        run("import_flow", str(folder), "--into", "acme/old")

        assert not storages["attachments"].exists(Attachment.objects.get().key)

    def test_names_in_a_zip_cannot_lead_outside(self, world, tmp_path):
        (tmp_path / "secret").write_text("a secret of the server")
        name = str(tmp_path / "secret")
        message = ORIGINAL[2] | {"attachments": [{"file_name": "secret", "path": name}]}
        link = zipfile.ZipInfo("files/secret")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
            file.writestr("messages.json", json.dumps([message]))
            file.writestr(link, name)

        run("import_flow", str(tmp_path / "a.zip"), "--into", "acme/old")

        # The link's own content, the path, and not that of the file that it points to.
        with storages["attachments"].open(Attachment.objects.get().key) as stored:
            assert stored.read() == name.encode()


@contextmanager
def memory_under(megabytes: int):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20
    finally:
        tracemalloc.stop()


class TestSizes:
    def zipped(self, path: Path, *parts: str, more: dict[str, bytes] | None = None) -> Path:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            with file.open("messages.json", "w", force_zip64=True) as messages:
                for part in parts:
                    messages.write(part.encode())
            for name, data in (more or {}).items():
                file.writestr(name, data)
        return path

    def test_zip_bomb_is_refused_before_it_is_unpacked(self, world, tmp_path):
        path = self.zipped(tmp_path / "a.zip", '[{"id": 1, "content": "', *["x" * 2**20] * 100, '"}]')
        assert path.stat().st_size < 2**20

        with memory_under(20):
            said, code = refused("import_flow", str(path), "--into", "acme/old")

        assert (code, "unpacks to" in said) == (1, True), said

    @pytest.mark.parametrize("packing", ["zip", "plain"])
    def test_message_of_an_archive_is_read_up_to_a_limit(self, world, tmp_path, packing):
        parts = ['[{"id": 1, "content": "', *["x" * 2**20] * 50, '"}]']
        path = tmp_path / "messages.json"
        path.write_text("".join(parts))
        if packing == "zip":
            path = self.zipped(tmp_path / "a.zip", *parts)

        with memory_under(100):
            said, _ = refused("import_flow", str(path), "--into", "acme/old")

        assert "message 1 in it is longer than" in said

    def test_line_is_read_up_to_a_limit(self, world, tmp_path):
        path = tmp_path / "bomb.jsonl.gz"
        with gzip.open(path, "wb") as file:
            for part in (b'{"type": "export", "format": 1}\n{"type": "', *[b"x" * 2**20] * 100):
                file.write(part)
        assert path.stat().st_size < 2**20

        with memory_under(60):
            said, _ = refused("import_flow", str(path))

        assert "line 2: longer than" in said

    def test_many_large_messages_are_stored_a_few_at_a_time(self, world, tmp_path):
        message = {"type": "message", "event": "message", "content": "x" * 2**20, "created_at": MOMENT}
        path = file_of(tmp_path / "file", *(message | {"number": number} for number in range(1, 31)))

        with memory_under(30):
            run("import_flow", path)

        assert Message.objects.count() == 30

    def test_unordered_messages_with_a_thread_each_take_little_memory(self, world, tmp_path):
        thread = {"title": "t" * 80_000}
        messages = [
            {"id": number, "event": "discussion", "sent": 1, "thread_id": f"{number}", "thread": thread}
            for number in range(300, 0, -1)
        ]
        path = tmp_path / "messages.json"
        path.write_text(json.dumps(messages))
        messages.clear()

        with memory_under(25):
            run("import_flow", str(path), "--into", "acme/old")

        assert list(Flow.objects.get(parameterized_name="old").messages.values_list("number", flat=True)[:2]) == [1, 2]

    def test_archive_with_too_many_files_is_refused(self, world, tmp_path, monkeypatch):
        monkeypatch.setattr(archive_files, "MAX_FILES", 3)
        path = self.zipped(tmp_path / "a.zip", "[]", more={f"{number}": b"" for number in range(4)})
        (tmp_path / "folder").mkdir()
        with zipfile.ZipFile(path) as file:
            file.extractall(tmp_path / "folder")

        for each in (path, tmp_path / "folder"):
            assert "more than 3 files" in refused("import_flow", str(each), "--into", "acme/old")[0]

    def test_zip_with_a_large_table_of_contents_is_refused(self, world, tmp_path, monkeypatch):
        monkeypatch.setattr(archive_files, "MAX_TABLE_OF_CONTENTS", 4000)
        path = self.zipped(tmp_path / "a.zip", "[]", more={f"{number}": b"" for number in range(100)})

        assert "table of contents is larger" in refused("import_flow", str(path), "--into", "acme/old")[0]

    @pytest.mark.parametrize("said", [3, 2**31])
    def test_zip_with_a_wrong_size_is_refused(self, world, tmp_path, said):
        path = self.zipped(tmp_path / "a.zip", json.dumps(ORIGINAL))
        with zipfile.ZipFile(path) as file:
            real = file.getinfo("messages.json").file_size
        whole = path.read_bytes()
        directory = whole.rindex(b"PK\1\2")
        at = directory + 24  # the unpacked size
        assert struct.unpack_from("<L", whole, at)[0] == real
        path.write_bytes(whole[:at] + struct.pack("<L", said) + whole[at + 4 :])

        said_of_it, code = refused("import_flow", str(path), "--into", "acme/old")

        assert (code, "unpacks to" in said_of_it or "damaged" in said_of_it or "ends" in said_of_it) == (1, True)

    @pytest.mark.parametrize(
        ("place", "bits", "reason"), [(8, 0x1, "is encrypted"), (10, zipfile.ZIP_LZMA, "has a compression method")]
    )
    def test_encrypted_zip_and_unusual_compression_are_refused(self, world, tmp_path, place, bits, reason):
        path = self.zipped(tmp_path / "a.zip", "[]")
        whole = path.read_bytes()
        at = whole.rindex(b"PK\1\2") + place
        path.write_bytes(whole[:at] + struct.pack("<H", bits) + whole[at + 2 :])

        assert reason in refused("import_flow", str(path), "--into", "acme/old")[0]

    def test_damaged_zip_is_refused(self, world, tmp_path):
        path = self.zipped(tmp_path / "a.zip", json.dumps(ORIGINAL))
        whole = bytearray(path.read_bytes())
        whole[100:200] = bytes(100)
        path.write_bytes(whole)

        assert "damaged" in refused("import_flow", str(path), "--into", "acme/old")[0]


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("depth", [40, 2000, 100_000])
class TestNesting:
    def test_error_names_the_line(self, world, tmp_path, depth):
        path = tmp_path / "deep.jsonl"
        path.write_text('{"type": "export", "format": 1}\n{"type": "message", "data": {"a": ' + nested(depth) + "}}\n")

        said, code = refused("import_flow", str(path))

        assert (code, "line 2: nested more than 32 levels deep" in said) == (1, True), said

    def test_error_names_the_message_of_an_archive(self, world, tmp_path, depth):
        path = tmp_path / "messages.json"
        path.write_text('[{"id": 1, "event": "message"}, {"id": 2, "event": "vcs", "content": ' + nested(depth) + "}]")

        said, code = refused("import_flow", str(path), "--into", "acme/old")

        assert (code, "message 2 in it is nested more than 32 levels deep" in said) == (1, True), said


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1E+400"])
class TestNumbersThatAreNotFinite:
    def test_error_names_the_line(self, world, tmp_path, number):
        path = tmp_path / "endless.jsonl"
        path.write_text('{"type": "export", "format": 1}\n{"type": "message", "data": {"a": [' + number + "]}}\n")

        said, code = refused("import_flow", str(path))

        assert (code, f"line 2: {number} is not a finite number" in said) == (1, True), said

    def test_error_names_the_message_of_an_archive(self, world, tmp_path, number):
        path = tmp_path / "messages.json"
        path.write_text('[{"id": 1, "event": "message"}, {"id": 2, "event": "vcs", "content": {"a": ' + number + "}}]")

        said, code = refused("import_flow", str(path), "--into", "acme/old")

        assert (code, f"message 2 in it: {number} is not a finite number" in said) == (1, True), said


HOSTILE = (None, True, -1, 2**70, 1.5, "", "\0", "\ud800", "x" * 3000, [], [[]], {}, {"a": [1]}, [{"label": 1}], "²")


def import_or_refuse(*arguments: str) -> None:
    """Lets only an error pass that the command reports in a sentence."""
    with suppress(CommandError):
        run("import_flow", *arguments)


def test_any_value_in_any_field_is_refused_or_stored(rich, tmp_path):
    """Each field of each type of record gets one of the hostile values, in turn; none causes a traceback."""
    path = exported(rich, tmp_path / "main.jsonl", "--passwords")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    records = [record | {"data": "YQ=="} if record["type"] == "bytes" else record for record in records]
    places = {record["type"]: place for place, record in enumerate(records)}
    values = itertools.cycle(HOSTILE)
    tried = 0
    for place in places.values():
        for name in records[place]:
            wrong = [dict(record) for record in records]
            wrong[place][name] = next(values)
            path.write_text("\n".join(map(json.dumps, wrong)))
            import_or_refuse(str(path), "--into", f"other{tried}/main", "--passwords")
            tried += 1
    assert tried > 100


def test_any_value_in_any_field_of_an_archive_is_refused_or_imported(world, tmp_path):
    path = tmp_path / "messages.json"
    values = itertools.cycle(HOSTILE)

    def fields(of: dict, *above: str):
        for name, value in of.items():
            yield (*above, name)
            if isinstance(value, dict):
                yield from fields(value, *above, name)

    for number, original in enumerate(ORIGINAL):
        for field in fields(original):
            wrong = json.loads(json.dumps(original))
            inner = wrong
            for name in field[:-1]:
                inner = inner[name]
            inner[field[-1]] = next(values)
            path.write_text(json.dumps([wrong]))
            import_or_refuse(str(path), "--into", f"other/flow{number}")


TABLES = (
    "organization", "flow", "user", "membership", "flowmembership", "application", "source", "invitation", "thread",
    "message", "tag", "attachment", "threadmark",
)  # fmt: skip


class TestBugsAndFailures:
    """An error that the file does not cause surfaces as itself, and is not reported as an error in a line."""

    @pytest.mark.parametrize(
        ("table", "error"),
        list(zip(TABLES, itertools.cycle((TypeError, KeyError, AttributeError, ValueError)), strict=False)),
    )
    def test_bug_while_a_record_is_stored(self, rich, tmp_path, table, error):
        path = exported(rich, tmp_path / "main.jsonl")
        empty_the_server()

        def broken(execute, sql, params, many, context):
            if f'INTO "flowdock_server_{table}"' in sql:
                raise error("a bug")
            return execute(sql, params, many, context)

        with connection.execute_wrapper(broken), pytest.raises(error, match="a bug"):
            run("import_flow", str(path))

    def test_bug_while_a_file_is_stored(self, rich, tmp_path, monkeypatch):
        path = exported(rich, tmp_path / "main.jsonl")

        def broken(name):
            raise AttributeError("a bug")

        monkeypatch.setattr(storages["attachments"], "exists", broken)

        with pytest.raises(AttributeError, match="a bug"):
            run("import_flow", str(path))

    @pytest.mark.parametrize("error", [TypeError, KeyError, AttributeError, ValueError])
    def test_bug_while_a_message_of_an_archive_is_converted(self, world, tmp_path, monkeypatch, error):
        path = tmp_path / "messages.json"
        path.write_text(json.dumps(ORIGINAL))

        def broken(original):
            raise error("a bug")

        monkeypatch.setattr(conversion, "title", broken)

        with pytest.raises(error, match="a bug"):
            run("import_flow", str(path), "--into", "acme/old")

    def test_database_that_is_away(self, rich, tmp_path):
        path = exported(rich, tmp_path / "main.jsonl")

        def away(execute, sql, params, many, context):
            if 'INTO "flowdock_server_message"' in sql:
                raise OperationalError("the database is away")
            return execute(sql, params, many, context)

        with connection.execute_wrapper(away), pytest.raises(OperationalError, match="away"):
            run("import_flow", str(path), "--into", "acme/copy")

    def test_full_disk_is_not_reported_as_an_unreadable_file(self, rich, tmp_path, monkeypatch):
        path = exported(rich, tmp_path / "main.jsonl")

        def full(name, content):
            raise OSError(errno.ENOSPC, "No space left on device", "/data/files/x")

        monkeypatch.setattr(storages["attachments"], "save", full)

        said, _ = refused("import_flow", str(path), "--into", "acme/copy")
        assert said == "/data/files/x cannot be written: No space left on device"
