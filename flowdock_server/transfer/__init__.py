"""Export a flow to a file, and import it from one.

    record_types.py    the types of records in the file, and how each becomes a row and a row becomes one
    export.py          from the database to records
    loading/           from records to the database; importing the same file again changes nothing
    archive/           from an archive that Flowdock let people download to the same records
    untrusted_json.py  JSON from an untrusted file: parsed within limits, and read as values of the expected type

The file is JSON lines in UTF-8: each line is one record, an object whose `type` is one of
`record_types.RECORD_TYPES`, "export" (the first), "bytes" or "end" (the last). A record comes after those that it
refers to. docs/flowdock-server.md documents the format.

An imported file is untrusted. It grants no access to what the server held before (see `loading.Loader`), it cannot make
the import read a file outside of the archive, and it is read in bounded memory. What is wrong with it raises
InvalidArchive. Any other error is a bug of this server or a failure of its database or storage, and is not caught.
"""

FORMAT = 1
"""Incremented by a change that older versions would misread. New fields and new types of records do not need it."""


class InvalidArchive(Exception):
    """The file cannot be imported, or not into this flow. The message says what is wrong, and where in the file."""
