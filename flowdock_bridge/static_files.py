"""Static files with a hash in their names, compressed and cached for good, once `collectstatic` has run."""

from __future__ import annotations

from pathlib import Path

from django.contrib.staticfiles import finders
from django.utils.functional import cached_property
from whitenoise.storage import CompressedManifestStaticFilesStorage


class CollectedStaticFiles(CompressedManifestStaticFilesStorage):
    """Links to the collected files. Without `collectstatic`, or with files of another version, links to the originals.

    So a start without `collectstatic` shows the right files, only uncompressed and cached for a minute.
    """

    def stored_name(self, name: str) -> str:
        return super().stored_name(name) if self.is_current else name

    @cached_property
    def is_current(self) -> bool:
        """Whether the files were collected, and are those of the installed version."""
        if not self.hashed_files:
            return False
        return all(
            _content(Path(self.path(path))) == _content(Path(storage.path(path)))
            for finder in finders.get_finders()
            for path, storage in finder.list([])
        )


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
