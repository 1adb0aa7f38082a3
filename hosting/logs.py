"""What the log says of things that are nobody's mistake here."""

import logging


class OneLine(logging.Filter):
    """Makes a record a warning of one line, without the traceback.

    For what anybody can cause from outside, such as a request by another host name: errors with tracebacks would fill
    the disk and hide those that need somebody.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
        return True
