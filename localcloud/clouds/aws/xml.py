"""EC2's answers and errors, as it writes them."""

from __future__ import annotations

import uuid
from xml.sax.saxutils import escape

from localcloud.clouds.exchange import HttpAnswer

_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_HEADERS = {"content-type": "text/xml;charset=UTF-8"}
_PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>\n'


def ec2_answer(name: str, inner: str) -> HttpAnswer:
    """The answer of action ``name`` around ``inner``, which is XML already."""
    body = f'<{name}Response xmlns="{_NAMESPACE}"><requestId>{uuid.uuid4()}</requestId>{inner}</{name}Response>'
    return HttpAnswer(200, (_PROLOGUE + body).encode(), _HEADERS)


def ec2_error(status: int, code: str, message: str) -> HttpAnswer:
    """An error with EC2's ``code``."""
    body = f"<Response><Errors><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error></Errors><RequestID>{uuid.uuid4()}</RequestID></Response>"
    return HttpAnswer(status, (_PROLOGUE + body).encode(), _HEADERS)
