"""Media inside a page, so that it needs no other file."""

import base64


def data_uri(kind: str, data: bytes) -> str:
    """`data` as an address that holds it; `kind` is its MIME type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
