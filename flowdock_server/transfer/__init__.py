"""A flow as a file, and a file as a flow.

    kinds.py    what a line of the file may be, and how rows and lines become each other
    export.py   from the database to lines
    load.py     from lines to the database, any number of times
    archive.py  from an archive that Flowdock let people download to the same lines
    packed.py   the files in such an archive: a zip, or a folder that links lead out of
    reading.py  JSON of strangers, within limits

A file may come from anybody. It grants no rights in what was on this server before (see `load.Loader`), its archive
leads to no file outside of it, and it is read in bounded memory. What is wrong with it raises `Unfit`; any other error
is a fault of this server's, or of its database.

The file is JSON lines in UTF-8: one object a line, whose `type` is one of `kinds.KINDS`, "export" (the first), "bytes"
or "end" (the last). What a line refers to stands above it. The form is documented in docs/flowdock-server.md.
"""

FORMAT = 1
"""Grows with a change that older versions would misread. New fields and new types of lines are no such change."""


class Unfit(Exception):
    """The file cannot be imported, or not into this flow: the text says what is wrong, and where."""
