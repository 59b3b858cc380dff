"""Builds the OpenAPI description of API v1 from the routes, their docstrings, and the tables below."""

import inspect
import re
from collections.abc import Iterator, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from daemon import __version__
from daemon.core.job import JobState

Schema = dict[str, object]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number", "minimum": 0}
_JSON = "application/json"
_BYTES = "application/octet-stream"
_STATES: Schema = {"type": "array", "items": {"type": "string", "enum": [str(state) for state in JobState]}}
_ORDER: dict[str, Schema] = {
    "recipe": _TEXT,
    "options": {"type": "string", "description": 'options of the recipe, as JSON: {"language": "de"}'},
    "priority": {"type": "integer"},
    "prompt": _TEXT,
    "password": {"type": "string", "description": "of an encrypted PDF"},
}
_WAIT: dict[str, Schema] = {"wait": {**_NUMBER, "description": "seconds to wait for the end of the job"}}
_QUERIES: dict[str, dict[str, Schema]] = {  # by function: its query parameters
    "list_jobs": {
        "state": _STATES,
        "recipe": _TEXT,
        "folder": _TEXT,
        "file": {"type": "string", "description": "a part of the path"},
        "review": {"type": "boolean"},
        "since": {"type": "string", "description": "ISO 8601"},
        "before": {"type": "string", "description": "`next` of the previous page"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 500},
    },
    "show_job": _WAIT,
    "search": {
        "q": {"type": "string", "description": 'words, a "phrase", or the start of a word: bal*'},
        "before": {"type": "string", "description": "`next` of the previous page"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    },
    "upload_form": _WAIT,
    "upload_file": {**_WAIT, **_ORDER, "upload": {"type": "string", "format": "uuid"}},
    "upload_offset": {"upload": {"type": "string", "format": "uuid"}},
    "events": {"after": {"type": "integer", "description": "the last event that was seen; also as Last-Event-ID"}},
}
_FORM: Schema = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "folder": _TEXT,
        **_ORDER,
    },
}
_CHANGES: Schema = {
    "type": "object",
    "required": ["changes"],
    "properties": {
        "by": {"type": "string", "description": "who corrects"},
        "changes": {
            "type": "array",
            "items": {
                "type": "object",
                "description": 'of a row {"row": 2, "values": {"debit": "18.00"}}, of fields {"fields": {"total": '
                '"7.50"}}, of an item {"item": 2, "values": {"price": "3.40"}}, of a line {"page": 1, "line": 3, '
                '"text": "…"}, or of a segment {"segment": 4, "text": "…"}',
            },
        },
    },
}
_ACTION: Schema = {
    "type": "object",
    "required": ["action", "jobs"],
    "properties": {
        "action": {"enum": ["retry", "cancel", "reviewed", "unreviewed"]},
        "jobs": {"type": "array", "items": {"type": "string", "format": "uuid"}},
    },
}
_BODIES: dict[str, tuple[str, Schema]] = {  # by function: type and schema of its body
    "upload_form": ("multipart/form-data", _FORM),
    "upload_file": (_BYTES, {"type": "string", "format": "binary"}),
    "correct": (_JSON, _CHANGES),
    "act_on_jobs": (_JSON, _ACTION),
    "ask": ("application/x-www-form-urlencoded", {"type": "object", "properties": {"question": _TEXT}}),
}
_ANSWERS = {  # by function: type of the answer, if it is not JSON
    "download": _BYTES,
    "download_original": _BYTES,
    "events": "text/event-stream",
    "metrics": "text/plain",
}
_ERROR: Schema = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": dict.fromkeys(("message", "type", "code", "fix"), _TEXT),
            "required": ["message", "type", "code", "fix"],
        }
    },
}


def describe(routes: Sequence[BaseRoute], base: str) -> Schema:
    """Describe these routes, which are served below the path `base`."""
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        if isinstance(route, Route):
            path = re.sub(r":\w+}", "}", route.path)
            paths.setdefault(path, {}).update(_operations(route))
    return {
        "openapi": "3.1.0",
        "info": {"title": "inboxd", "version": __version__, "description": "See docs/api.md."},
        "servers": [{"url": base or "/"}],
        "security": [{"bearer": []}, {"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            },
            "schemas": {"Error": _ERROR},
        },
    }


def _operations(route: Route) -> Iterator[tuple[str, object]]:
    name = route.endpoint.__name__
    in_path = [(each, "path", _TEXT) for each in route.param_convertors]
    in_query = [(each, "query", schema) for each, schema in _QUERIES.get(name, {}).items()]
    parameters = [
        {"name": each, "in": where, "required": where == "path", "schema": schema}
        for each, where, schema in (*in_path, *in_query)
    ]
    for method in sorted((route.methods or set()) - ({"HEAD"} if "GET" in (route.methods or ()) else set())):
        operation: Schema = {
            "operationId": name,
            "summary": (inspect.getdoc(route.endpoint) or "").split("\n")[0],
            "parameters": parameters,
            "responses": {
                "2XX": {"description": "success", "content": {_ANSWERS.get(name, _JSON): {}}},
                "default": {
                    "description": "an error",
                    "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
                },
            },
        }
        if name in _BODIES:
            kind, schema = _BODIES[name]
            operation["requestBody"] = {"required": True, "content": {kind: {"schema": schema}}}
        yield method.lower(), operation


def route(routes: Sequence[BaseRoute]) -> Route:
    """The route that serves the description of `routes`."""

    async def openapi(request: Request) -> Response:
        """Return this OpenAPI description."""
        return JSONResponse(describe(routes, str(request.scope.get("root_path", ""))))

    return Route("/api/v1/openapi.json", openapi)
