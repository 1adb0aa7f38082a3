"""Files: reading uploads, measuring images, and signing URLs for downloads, which expire soon.

A browser must never run an uploaded file, whatever its stated type is. Files are served as downloads with `nosniff` and
in a sandbox, and with their stated type only if it is harmless. See `flowdock_server.api.files`.
"""

from __future__ import annotations

import base64
import binascii
import io
import mimetypes
import re
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.core.files.uploadedfile import UploadedFile
from django.core.signing import BadSignature, TimestampSigner
from PIL import Image, ImageOps

from flowdock_server.models import Attachment, Flow, User
from flowdock_server.posting.drafts import BLANK, Rejected

THUMBNAIL = (320, 320)  # pixels that a thumbnail fits into
MAX_PIXELS = 50_000_000  # of an image: a small file can decompress to more than fits into memory
THUMBNAIL_ENDING = ".thumbnail"  # of a thumbnail's key
LASTS = 300  # seconds in which a download URL can be used
UNKNOWN = "application/octet-stream"

# Types that a browser shows without running anything, even if the file is opened by itself.
HARMLESS = re.compile(
    r"(image/(png|jpeg|gif|webp)|audio/[\w.+-]+|video/[\w.+-]+|text/plain|application/(pdf|zip|json))"
)
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,100}/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}")
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
# Images are decompressed one at a time: each takes four bytes of memory for each pixel.
_unpacking = threading.Lock()
Image.MAX_IMAGE_PIXELS = None  # MAX_PIXELS is checked here


@dataclass(frozen=True)
class Upload:
    """A file of a request. `content_id` is the name that the body of its message refers to."""

    data: bytes
    file_name: str
    content_type: str
    content_id: str = ""

    @classmethod
    def read(cls, value: object, field: str, content_id: str = "") -> Upload:
        """Read a file of a form, or {"data": Base64, "content_type", "file_name"}. Raises Rejected for `field`."""
        if isinstance(value, UploadedFile):
            if value.size is not None and value.size > settings.MAX_FILE_BYTES:
                raise Rejected({field: [_too_large()]})
            name, kind, data = value.name, value.content_type, value.read()
        elif isinstance(value, dict):
            name, kind, data = value.get("file_name"), value.get("content_type"), _decoded(value.get("data"), field)
        else:
            raise Rejected({field: ["must be a file"]})
        if len(data) > settings.MAX_FILE_BYTES:
            raise Rejected({field: [_too_large()]})
        file_name = _file_name(name)
        return cls(data, file_name, _content_type(kind, file_name), content_id)


@dataclass(frozen=True)
class Picture:
    """The actual type of an image, its size as it is displayed, and its thumbnail."""

    content_type: str
    width: int
    height: int
    thumbnail: bytes
    thumbnail_width: int
    thumbnail_height: int


def parse_attachments(value: object) -> list[Upload]:
    """The uploads in `attachments`: a dict by their names, or a list. Raises Rejected."""
    if not value:
        return []
    if isinstance(value, dict) and "data" not in value:
        return [Upload.read(file, f"attachments.{name}", str(name)[:255]) for name, file in value.items()]
    files = value if isinstance(value, list) else [value]
    uploads = []
    for number, file in enumerate(files):
        name = file.get("content_id") if isinstance(file, dict) else None
        uploads.append(Upload.read(file, f"attachments.{number}", str(name)[:255] if name else ""))
    if len({bool(upload.content_id) for upload in uploads}) > 1:
        raise Rejected({"attachments": ["must either all have names or all have none"]})
    return uploads


@contextmanager
def stored(uploads: list[Upload], flow: Flow | None, user: User | None) -> Iterator[list[Attachment]]:
    """Store the content of `uploads`, and yield their attachments, to be saved with a message.

    If they are not saved, their content is deleted again. `flow` is None for a private message. Raises Rejected for
    images of more than MAX_PIXELS.
    """
    attachments = [_described(upload, flow, user) for upload in uploads]
    bytes_storage = storage()
    written: list[str] = []
    is_saved = False
    try:
        for upload, (attachment, thumbnail) in zip(uploads, attachments, strict=True):
            written.append(bytes_storage.save(attachment.key, ContentFile(upload.data)))
            if thumbnail:
                written.append(bytes_storage.save(attachment.thumbnail_key, ContentFile(thumbnail)))
        yield [attachment for attachment, _ in attachments]
        is_saved = all(attachment.pk for attachment, _ in attachments)
    finally:
        if not is_saved:
            for name in written:
                bytes_storage.delete(name)


def storage() -> Storage:
    return storages["attachments"]


def download_url(attachment: Attachment, *, thumbnail: bool = False) -> str:
    """A URL from which anybody can download the file for LASTS seconds."""
    key = attachment.thumbnail_key if thumbnail else attachment.key
    token = TimestampSigner(salt="flowdock_server.files").sign(key).removeprefix(f"{key}:")
    return f"{settings.SERVER_URL}/downloads/{key}/{token}/{quote(attachment.file_name, safe='')}"


def thumbnail_type(attachment: Attachment) -> str:
    """The type of the thumbnails that `_measured` creates."""
    return "image/jpeg" if attachment.content_type == "image/jpeg" else "image/png"


def is_signed(key: str, token: str) -> bool:
    """Whether `token` is from a URL that `download_url` returned for `key`, and has not expired."""
    try:
        TimestampSigner(salt="flowdock_server.files").unsign(f"{key}:{token}", max_age=LASTS)
    except BadSignature:
        return False
    return True


def _described(upload: Upload, flow: Flow | None, user: User | None) -> tuple[Attachment, bytes]:
    picture = _picture(upload)
    attachment = Attachment(
        flow=flow,
        uploaded_by=user,
        content_id=upload.content_id,
        file_name=upload.file_name,
        content_type=picture.content_type if picture else upload.content_type,
        size=len(upload.data),
    )
    if picture is None:
        return attachment, b""
    attachment.width, attachment.height = picture.width, picture.height
    attachment.thumbnail_width, attachment.thumbnail_height = picture.thumbnail_width, picture.thumbnail_height
    return attachment, picture.thumbnail


def _picture(upload: Upload) -> Picture | None:
    """The image in `upload`; None if it is not an image or cannot be read: then it is stored like other files."""
    if not upload.content_type.startswith("image/"):
        return None
    try:
        with _unpacking, Image.open(io.BytesIO(upload.data), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Rejected({"content": [f"is an image of more than {MAX_PIXELS // 1_000_000} million pixels"]})
            return _measured(image)
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError, IndexError, TypeError):
        # Pillow raises all of these for files that are truncated or malicious.
        return None


def _measured(image: Image.Image) -> Picture:
    content_type = Image.MIME[image.format or ""]
    width, height = image.size
    if image.getexif().get(0x0112, 1) > 4:  # the EXIF orientation rotates it by 90 degrees
        width, height = height, width
    is_photo = image.format == "JPEG"
    if is_photo:
        image.draft("RGB", THUMBNAIL)  # decompresses a large photo to as little as an eighth of its size
    small = ImageOps.exif_transpose(image).convert("RGB" if is_photo else "RGBA")
    small.thumbnail(THUMBNAIL)
    written = io.BytesIO()
    small.save(written, "JPEG" if is_photo else "PNG", optimize=True)
    return Picture(content_type, width, height, written.getvalue(), small.width, small.height)


def _decoded(data: object, field: str) -> bytes:
    if not isinstance(data, str) or not data:
        raise Rejected({f"{field}.data": [BLANK]})
    try:
        return base64.b64decode(re.sub(r"\s+", "", data), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Rejected({f"{field}.data": ["must be valid Base64"]}) from error


def _file_name(name: object) -> str:
    """The last part of a path, without characters that file names or headers cannot contain."""
    text = re.split(r"[/\\]", name)[-1] if isinstance(name, str) else ""
    text = "".join(sign for sign in text if unicodedata.category(sign)[0] != "C").strip(" .")
    # The end is kept, since it has the extension.
    return (text if len(text) <= 255 else text[:200] + text[-55:]) or "file"


def _content_type(kind: object, file_name: str) -> str:
    stated = kind.partition(";")[0].strip().lower() if isinstance(kind, str) else ""
    if _TYPE.fullmatch(stated):
        return stated
    return mimetypes.guess_type(file_name, strict=False)[0] or UNKNOWN


def _too_large() -> str:
    return f"is too large (maximum is {settings.MAX_FILE_BYTES} bytes)"
