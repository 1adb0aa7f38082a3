"""Files: uploading, measuring, listing, downloading and deleting; and hostile files."""

import base64
import io
import struct
import zlib
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from PIL import Image

from flowdock_server.models import Attachment, FlowMembership, Message
from flowdock_server.posting import files

from .conftest import activity, post

MESSAGES = "/flows/acme/lobby/messages"


@pytest.fixture(autouse=True)
def stored(tmp_path, settings):
    """The folder of the files' contents."""
    settings.STORAGES = settings.STORAGES | {
        "attachments": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path},
        }
    }
    return tmp_path


def picture(width=640, height=400, kind="PNG", **options) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(written, kind, **options)
    return written.getvalue()


def part(data: bytes = b"Hello", name: str = "log.txt", kind: str = "text/plain") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, kind)


def in_json(data: bytes = b"Hello", name: str = "log.txt", kind: str = "text/plain") -> dict:
    content = {"data": base64.encodebytes(data).decode(), "file_name": name, "content_type": kind}
    return {"event": "file", "content": content}


def fetch(client: Client, path: str):
    """The response with the content, as for a client that follows the redirect without sending a key."""
    redirect = client.get(path)
    assert redirect.status_code == 302, redirect.content
    return Client().get(urlsplit(redirect["Location"]).path)


def test_file_uploaded_by_form_is_downloaded_unchanged(ines, otto, world):
    response = ines.post(MESSAGES, {"event": "file", "content": part(), "tags": "#logs"})

    assert response.status_code == 201
    message = response.json()
    attachment = message["attachments"][0]
    assert message["content"] == attachment
    assert attachment | {"path": ""} == {
        "content_type": "text/plain", "file_name": "log.txt", "file_size": 5, "path": ""
    }  # fmt: skip
    assert (message["event"], message["app"], message["tags"]) == ("file", "chat", ["logs", ":file"])
    assert message["user"] == str(world.ines.pk)
    answer = fetch(otto, attachment["path"])
    assert answer.content == b"Hello"
    assert answer["Content-Type"] == "text/plain"


def test_file_can_be_uploaded_in_json_as_base64(ines):
    message = post(ines, MESSAGES, in_json(b"\x00\xff" * 60, "raw.bin", "")).json()

    assert message["content"]["content_type"] == "application/octet-stream"
    assert fetch(ines, message["content"]["path"]).content == b"\x00\xff" * 60


def test_image_gets_its_size_and_a_thumbnail(ines):
    content = ines.post(MESSAGES, {"event": "file", "content": part(picture(), "a.png", "image/png")}).json()["content"]

    assert content["image"] == {"width": 640, "height": 400}
    assert content["thumbnail"] | {"path": ""} == {"width": 320, "height": 200, "path": ""}
    answer = fetch(ines, content["thumbnail"]["path"])
    assert Image.open(io.BytesIO(answer.content)).size == (320, 200)
    assert answer["Content-Type"] == "image/png"


def test_rotated_photo_is_measured_as_displayed(ines):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = picture(900, 300, "JPEG", exif=exif)

    content = ines.post(MESSAGES, {"event": "file", "content": part(data, "a.jpg", "image/jpeg")}).json()["content"]

    assert content["image"] == {"width": 300, "height": 900}
    small = Image.open(io.BytesIO(fetch(ines, content["thumbnail"]["path"]).content))
    assert (small.format, small.height) == ("JPEG", 320)
    assert not small.getexif()


@pytest.mark.parametrize("data", [b"", b"no picture", picture()[:200], picture(kind="GIF")[:20], b"\x89PNG\r\n\x1a\n"])
def test_file_that_only_claims_to_be_an_image_is_a_plain_file(ines, data):
    response = ines.post(MESSAGES, {"event": "file", "content": part(data, "a.png", "image/png")})

    assert response.status_code == 201
    assert "thumbnail" not in response.json()["content"]
    assert fetch(ines, response.json()["content"]["path"]).content == data


def bomb(width: int, height: int) -> bytes:
    """A PNG with so many pixels in a few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8000, 7000), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_image_with_too_many_pixels_is_refused(ines, stored, size):
    response = ines.post(MESSAGES, {"event": "file", "content": part(bomb(*size), "a.png", "image/png")})

    assert response.status_code == 400
    assert "million pixels" in response.json()["errors"]["content"][0]
    assert not list(stored.iterdir())
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("content", "field", "reason"),
    [
        (None, "content", "can't be blank"),
        ("just text", "content", "must be a file"),
        (["a"], "content", "must be a string or a file"),
        ({"file_name": "a"}, "content.data", "can't be blank"),
        ({"data": "!", "file_name": "a"}, "content.data", "Base64"),
        ({"data": "Zg", "file_name": "a"}, "content.data", "Base64"),
        ({"data": {"a": 1}}, "content.data", "can't be blank"),
    ],
)
def test_value_that_is_not_a_file_is_refused(ines, stored, content, field, reason):
    response = post(ines, MESSAGES, {"event": "file", "content": content})

    assert response.status_code == 400
    assert reason in response.json()["errors"][field][0]
    assert not list(stored.iterdir())


def test_file_is_refused_where_text_is_expected(ines):
    for event in ("message", "comment", "status"):
        response = ines.post(MESSAGES, {"event": event, "content": part(), "message": 1})
        assert (response.status_code, response.json()["errors"]["content"]) == (400, ["must be a string"])


def test_file_over_the_limit_is_refused(ines, settings, stored):
    settings.MAX_FILE_BYTES = 100

    for response in (
        ines.post(MESSAGES, {"event": "file", "content": part(b"x" * 101)}),
        post(ines, MESSAGES, in_json(b"x" * 101)),
    ):
        assert response.status_code == 400
        assert response.json()["errors"] == {"content": ["is too large (maximum is 100 bytes)"]}
    assert not list(stored.iterdir())
    assert post(ines, MESSAGES, in_json(b"x" * 100)).status_code == 201


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\dir\\a.txt", "a.txt"),
        ('a"b\r\nX: y.txt', 'a"bX: y.txt'),
        (" .hidden ", "hidden"),
        ("\u202egnp.exe", "gnp.exe"),
        ("...", "file"),
        (None, "file"),
        ({"a": 1}, "file"),
        ("x" * 300 + ".pdf", "x" * 200 + "x" * 51 + ".pdf"),
        ("größe 100%.txt", "größe 100%.txt"),
    ],
)
def test_file_name_cannot_contain_a_path(ines, sent, kept):
    body = in_json()
    body["content"]["file_name"] = sent

    content = post(ines, MESSAGES, body).json()["content"]

    assert content["file_name"] == kept
    answer = fetch(ines, content["path"])
    assert answer.content == b"Hello"
    assert answer["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("stated", "served"),
    [
        ("text/html", "application/octet-stream"),
        ("TEXT/HTML; charset=utf-8", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("text/javascript", "application/octet-stream"),
        ("text/xml", "application/octet-stream"),
        ("text/plain\r\nX-Evil: 1", "text/plain"),
        ("application/pdf", "application/pdf"),
        ("nonsense", "text/plain"),
    ],
)
def test_uploaded_files_are_never_run_by_browsers(ines, stated, served):
    body = in_json(b"<script>alert(1)</script>", "a.txt", stated)

    answer = fetch(ines, post(ines, MESSAGES, body).json()["content"]["path"])

    assert answer["Content-Type"] == served
    assert answer["Content-Disposition"] == 'attachment; filename="a.txt"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert "X-Evil" not in answer


def test_only_members_open_a_file_and_its_url_expires(world, ines, otto, as_person):
    path = ines.post(MESSAGES, {"event": "file", "content": part()}).json()["content"]["path"]

    assert Client().get(path).status_code == 401
    assert as_person(world.sam).get(path).status_code == 404
    assert otto.get(path.replace("log.txt", "other.txt")).status_code == 302
    assert otto.get("/files/nothing/log.txt").status_code == 404
    assert otto.get(path.replace("/log.txt", "/thumb/log.txt")).status_code == 404
    address = urlsplit(otto.get(path)["Location"]).path
    assert Client().get(address).status_code == 200
    _, root, key, token, name = address.split("/")
    for wrong in (
        f"/{root}/{key}/{token}x/{name}",
        f"/{root}/{key}.thumbnail/{token}/{name}",
        f"/{root}/x/{token}/{name}",
    ):
        assert Client().get(wrong).status_code == 404
    with time_machine.travel(timezone.now() + timedelta(seconds=files.LASTS + 1)):
        assert Client().get(address).status_code == 404
    FlowMembership.objects.filter(user=world.otto).update(disabled=True)
    assert otto.get(path).status_code == 404


def test_pages_open_files_with_the_session(world, ines, client):
    path = ines.post(MESSAGES, {"event": "file", "content": part()}).json()["content"]["path"]
    client.force_login(world.otto)
    assert client.get(path).status_code == 302
    client.force_login(world.sam)
    assert client.get(path).status_code == 404


def test_files_are_found_by_event_and_tag(world, ines, connect):
    token = connect(world.lobby)[1]
    upload = ines.post(MESSAGES, {"event": "file", "content": part()}).json()["id"]
    ines.post(MESSAGES, {"event": "message", "content": "no file"})
    attached = Client().post("/messages", form(token, {"attachments[]": part()})).json()["id"]

    def found(**parameters):
        return [message["id"] for message in ines.get(MESSAGES, parameters).json()]

    assert found(event="file") == [upload]
    assert found(tags=":file") == [upload, attached]
    assert found(search="log") == [upload, attached]


def form(token: str, more: dict) -> dict:
    return {
        "flow_token": token,
        "event": "activity",
        "title": "uploaded",
        "external_thread_id": "a",
        "author[name]": "Lea",
        "thread[title]": "Thread",
        "body": 'See <img src="cid:chart" alt="Chart"> and <img src="cid:missing" alt="Lost">',
    } | more


def test_integration_attaches_files_that_the_body_refers_to(world, connect, client):
    token = connect()[1]
    chart = part(picture(40, 30), "c.png", "image/png")

    response = client.post("/messages", form(token, {"attachments[chart]": chart, "attachments[log]": part()}))

    message = response.json()
    assert response.status_code == 201
    assert [(file["content_id"], file["file_name"]) for file in message["attachments"]] == [
        ("chart", "c.png"),
        ("log", "log.txt"),
    ]
    assert message["content"] is None
    assert message["tags"] == [":file"]
    assert 'src="cid:chart"' in message["body"]
    stored = Message.objects.get()
    assert f'src="{Attachment.objects.get(content_id="chart").path}"' in stored.safe_body
    assert "cid:" not in stored.safe_body
    assert "Lost" in stored.safe_body


def test_attachments_in_json_have_names_for_all_or_none(connect, client):
    token = connect()[1]
    file = in_json()["content"]

    named = post(client, "/messages", activity(flow_token=token, attachments={"a": file, "b": file})).json()
    unnamed = post(client, "/messages", activity(flow_token=token, attachments=[file, file])).json()
    mixed = post(client, "/messages", activity(flow_token=token, attachments=[file, file | {"content_id": "x"}]))
    wrong = post(client, "/messages", activity(flow_token=token, attachments={"a": {"data": "?"}}))
    text = post(client, "/messages", activity(flow_token=token, attachments="a"))

    assert [file["content_id"] for file in named["attachments"]] == ["a", "b"]
    assert [file.get("content_id") for file in unnamed["attachments"]] == [None, None]
    assert (mixed.status_code, mixed.json()["errors"]) == (
        400, {"attachments": ["must either all have names or all have none"]}
    )  # fmt: skip
    assert list(wrong.json()["errors"]) == ["attachments.a.data"]
    assert list(text.json()["errors"]) == ["attachments"]


def test_chat_message_cannot_have_attachments(ines):
    response = post(ines, MESSAGES, {"event": "message", "content": "Hi", "attachments": [in_json()["content"]]})

    assert list(response.json()["errors"]) == ["attachments"]


def test_file_can_be_posted_to_a_thread(world, ines, connect, client):
    thread_id = post(client, "/messages", activity(flow_token=connect(world.lobby)[1])).json()["thread_id"]

    response = ines.post(f"/flows/acme/lobby/threads/{thread_id}/messages", {"event": "file", "content": part()})

    assert response.json()["thread"]["internal_comments"] == 1
    assert Message.objects.get(event="file").thread.last_title == "log.txt"


@pytest.mark.django_db(transaction=True)
def test_deleting_a_message_deletes_its_file(world, ines, otto, stored):
    message = ines.post(MESSAGES, {"event": "file", "content": part(picture(), "a.png", "image/png")}).json()
    assert len(list(stored.iterdir())) == 2
    address = urlsplit(ines.get(message["content"]["path"])["Location"]).path

    assert otto.delete(f"{MESSAGES}/{message['id']}").status_code == 403
    assert len(list(stored.iterdir())) == 2
    assert ines.delete(f"{MESSAGES}/{message['id']}").status_code == 204

    assert not list(stored.iterdir())
    assert Client().get(address).status_code == 404
    assert ines.get(message["content"]["path"]).status_code == 404


def test_repeated_upload_keeps_only_the_first_content(ines, stored):
    first, again = (ines.post(MESSAGES, {"event": "file", "content": part(), "uuid": "u"}).json() for _ in range(2))

    assert first["id"] == again["id"]
    assert first["attachments"] == again["attachments"]
    assert len(list(stored.iterdir())) == 1


def test_refused_upload_leaves_no_files(ines, stored):
    body = {"event": "file", "content": part(), "thread_id": "x" * 27}

    assert ines.post(MESSAGES, body).status_code == 400
    assert not list(stored.iterdir())


def test_list_of_many_files_takes_as_many_queries_as_one(ines, django_assert_max_num_queries):
    for _ in range(5):
        ines.post(MESSAGES, {"event": "file", "content": part()})
    with django_assert_max_num_queries(6):
        assert len(ines.get(MESSAGES, {"event": "file"}).json()) == 5
