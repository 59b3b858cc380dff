"""Uploads as streams into hidden files: complete, or not there at all."""

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest
from starlette.requests import Request
from web_site import Site

from daemon.web.errors import WebError
from daemon.web.forms import Form, received_body, received_form
from daemon.web.uploads import Receiver, clean_name

BOUNDARY = "xyz"


@pytest.fixture
def receiver(site: Site) -> Receiver:
    receiver = Receiver(site.settings)
    receiver.prepare()
    return receiver


def request_of(body: Iterable[bytes], *, cut_off: bool = False, **headers: str) -> Request:
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    messages.append({"type": "http.disconnect"} if cut_off else {"type": "http.request", "body": b""})

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": encoded}, receive)


def part(disposition: str, content: bytes) -> bytes:
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def form_request(*parts: bytes, step: int = 7, **options: object) -> Request:
    body = b"".join(parts)
    steps = [body[at : at + step] for at in range(0, len(body), step)]
    return request_of(steps, content_type=f"multipart/form-data; boundary={BOUNDARY}", **options)  # type: ignore[arg-type]


def receive_form(receiver: Receiver, request: Request, check: Callable[[Form], None] = lambda form: None) -> None:
    async def run() -> None:
        async with received_form(request, receiver, {"file"}) as form:
            check(form)

    asyncio.run(run())


def receive_body(receiver: Receiver, request: Request, use: Callable[[Path], None] = lambda path: None) -> None:
    async def run() -> None:
        async with received_body(request, receiver, "x.txt") as upload:
            use(upload.path)

    asyncio.run(run())


@pytest.mark.parametrize("step", [1, 13, 100_000])
def test_form_holds_files_and_fields(step: int, receiver: Receiver):
    content = os.urandom(5000) + b"\r\n--xy\r\n"
    seen: list[object] = []

    def check(form: Form) -> None:
        ((field, upload),) = form.files
        seen.append((field, upload.name, upload.path.read_bytes() == content, oct(upload.path.stat().st_mode)[-3:]))
        seen.append(form.fields)

    parts = [part('name="file"; filename="a.txt"', content), part('name="recipe"', b"caf\xc3\xa9"), END]
    receive_form(receiver, form_request(*parts, step=step), check)
    assert seen == [("file", "a.txt", True, "640"), {"recipe": ["café"]}]
    assert list(receiver.folder.iterdir()) == []  # nobody took it


def test_file_that_was_handed_over_stays_away(receiver: Receiver, tmp_path: Path):
    request = request_of([b"some ", b"text"])
    receive_body(receiver, request, lambda path: path.rename(tmp_path / "taken"))
    assert (tmp_path / "taken").read_text() == "some text"


@pytest.mark.parametrize("of", ["body", "form"])
def test_upload_that_is_cut_off_leaves_nothing(of: str, receiver: Receiver):
    with pytest.raises(WebError) as refused:
        if of == "body":
            receive_body(receiver, request_of([b"some"], cut_off=True))
        else:
            receive_form(receiver, form_request(part('name="file"; filename="a"', b"x"), cut_off=True))
    assert (refused.value.status, refused.value.code) == (400, "cut_off")
    assert list(receiver.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ([part('name="file"; filename="a"', b"x")], 400, "cut_off"),
        ([b"nonsense"], 400, "bad_form"),
        ([part('name="other"; filename="a"', b"x"), END], 422, "unexpected_file"),
        ([part('name="recipe"', b"x" * 70_000), END], 413, "field_too_long"),
        ([part(f'name="{"x" * 10_000}"', b"x"), END], 400, "bad_form"),
        ([part('name="a"', b"") * 1001, END], 413, "too_many_parts"),
    ],
)
def test_bad_form_is_refused_and_leaves_nothing(parts: list[bytes], status: int, code: str, receiver: Receiver):
    with pytest.raises(WebError) as refused:
        receive_form(receiver, form_request(*parts, step=500))
    assert (refused.value.status, refused.value.code) == (status, code)
    assert list(receiver.folder.iterdir()) == []


def test_other_body_than_a_form_is_refused(receiver: Receiver):
    with pytest.raises(WebError) as refused:
        receive_form(receiver, request_of([b"{}"], content_type="application/json"))
    assert refused.value.status == 415


def test_too_large_upload_is_refused_before_or_while_it_arrives(make_site: Callable[[str], Site]):
    receiver = Receiver(make_site('upload_max = "1kB"').settings)
    receiver.prepare()
    for request in (request_of([b"x"], content_length="1001"), request_of([b"x" * 600, b"x" * 600])):
        with pytest.raises(WebError, match="1000 bytes") as refused:
            receive_body(receiver, request)
        assert refused.value.status == 413
    assert list(receiver.folder.iterdir()) == []


def test_upload_that_would_fill_the_disk_is_refused(make_site: Callable[[str], Site]):
    site = make_site('keep_free = "1000TB"')
    receiver = Receiver(site.settings)
    receiver.prepare()
    with pytest.raises(WebError) as refused:
        receive_body(receiver, request_of([b"x"]))
    assert (refused.value.status, refused.value.code) == (507, "disk_full")


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\scans\\a.pdf", "a.pdf"),
        (".hidden", "hidden"),
        ("..", "upload"),
        ("", "upload"),
        ("a\nb\x00.txt", "a\\x0ab\\x00.txt"),
        ("é" * 200 + ".pdf", "é" * 98 + ".pdf"),
        ("x" * 300, "x" * 200),
        ("\u202egnp.exe", "\\x202egnp.exe"),
    ],
)
def test_name_of_an_upload_is_a_plain_name(sent: str, name: str):
    assert clean_name(sent) == name


@pytest.mark.parametrize("place", ["link", "file"])
def test_upload_never_follows_what_is_in_the_place_of_its_folder(place: str, site: Site, tmp_path: Path):
    receiver, elsewhere = Receiver(site.settings), tmp_path / "elsewhere"
    elsewhere.mkdir()
    if place == "link":
        receiver.folder.symlink_to(elsewhere)
    else:
        receiver.folder.write_text("")
    with pytest.raises(WebError) as caught:
        receive_body(receiver, request_of([b"x"]))
    assert (caught.value.status, caught.value.code) == (503, "no_inbox")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "second name"])
def test_other_things_in_the_upload_folder_are_not_written_to(kind: str, receiver: Receiver, tmp_path: Path):
    upload, other = str(uuid.uuid4()), tmp_path / "other"
    other.write_text("text")
    path = receiver.folder / upload
    match kind:
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(other)
        case "pipe":
            os.mkfifo(path)
        case _:
            path.hardlink_to(other)
    with pytest.raises(WebError, match="another UUID"), receiver.resumed("a.txt", upload):
        pass
    assert other.read_text() == "text"


def test_upload_folder_that_was_removed_is_created_again(receiver: Receiver):
    receiver.folder.rmdir()
    seen: list[bytes] = []
    receive_body(receiver, request_of([b"x"]), lambda path: seen.append(path.read_bytes()))
    assert seen == [b"x"]


def test_slots_are_limited(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    async def hold_all() -> Awaitable[None]:
        for _ in range(64):
            await receiver._slots.acquire()
        async with receiver.slot():
            raise AssertionError

    with pytest.raises(WebError) as refused:
        asyncio.run(hold_all())  # type: ignore[arg-type]
    assert (refused.value.status, refused.value.code) == (503, "too_many_uploads")
