"""The password of a file, from its sidecar NAME.password. See `open_pages`."""

from processors.contract import BadInput, Work

_MAX_PASSWORD_BYTES = 1024


def read_password(work: Work) -> str | None:
    """Read the password for a file from the first line of NAME.password; None: that sidecar does not exist.

    Never log the password.

    Raises:
        BadInput: the sidecar is empty, too long or not UTF-8.
    """
    path = work.sidecars.get("password")
    if path is None:
        return None
    with path.open("rb") as file:
        content = file.read(_MAX_PASSWORD_BYTES + 1)
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise BadInput(f"{path.name} is not UTF-8 text. Save it as UTF-8 and drop both again.") from None  # no content
    if len(content) > _MAX_PASSWORD_BYTES or not lines or not lines[0]:
        raise BadInput(f"The first line of {path.name} must be the password, but is empty or too long. Correct it.")
    return lines[0]
