"""Log records of events that are not errors of the server."""

import logging


class OneLine(logging.Filter):
    """Turns a record into a warning of one line, without the traceback.

    For events that anybody can cause from outside, such as a request with a wrong host name. With tracebacks, they
    would fill the disk and hide real errors.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
        return True
