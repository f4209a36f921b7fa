"""The header blocks of one kind of gRPC call: the first teaches the server, later ones are six bytes.

The first block stores its four long fields in the connection's dynamic table, newest first; each later block
refers to them by index, as every real gRPC client does::

    dynamic index     62    63              64           65
    field             te    content-type    :authority   :path

Source: RFC 7541, sections 2.3.3 (index space), 6.1 (indexed field), 6.2.1 (literal with incremental indexing).
"""

INDEXED = 0x80
INDEXED_METHOD_POST = bytes([INDEXED | 3])
INDEXED_SCHEME_HTTP = bytes([INDEXED | 6])

STORE_NAME_INDEXED = 0x40
STORE_NEW_NAME = bytes([0x40])
NAME_AUTHORITY, NAME_PATH, NAME_CONTENT_TYPE = 1, 4, 31

LITERAL_BYTES_MAX = 126
"""Longer strings need a length of several bytes, which ours never do."""

TABLE_BYTES_NEEDED = 1024
"""What our four fields need in the server's dynamic table, generously."""

LATER_BLOCK = INDEXED_METHOD_POST + INDEXED_SCHEME_HTTP + bytes([INDEXED | index for index in (65, 64, 63, 62)])
"""The block of every call but the first."""


def first_block(*, path: str, authority: str) -> bytes:
    """Returns the block of a connection's first call, for calls of `path` alone.

    Raises:
        ValueError: a string is longer than `LITERAL_BYTES_MAX`.
    """
    return b"".join(
        (
            INDEXED_METHOD_POST,
            INDEXED_SCHEME_HTTP,
            bytes([STORE_NAME_INDEXED | NAME_PATH]) + _literal(path),
            bytes([STORE_NAME_INDEXED | NAME_AUTHORITY]) + _literal(authority),
            bytes([STORE_NAME_INDEXED | NAME_CONTENT_TYPE]) + _literal("application/grpc"),
            STORE_NEW_NAME + _literal("te") + _literal("trailers"),
        )
    )


def _literal(text: str) -> bytes:
    data = text.encode()
    if len(data) > LITERAL_BYTES_MAX:
        raise ValueError(f"{text!r} has {len(data)} bytes; a header field may have {LITERAL_BYTES_MAX}")
    return bytes([len(data)]) + data
