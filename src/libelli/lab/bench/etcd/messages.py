"""The three requests of etcd's KV service that a benchmark sends, as protobuf bytes behind gRPC's prefix.

    PutRequest    1 key, 2 value          RangeRequest   1 key
    TxnRequest    2 success: RequestOp    RequestOp      2 request_put: PutRequest

Source: the public field numbers of etcd's v3 API; Protocol Buffers, "Encoding"; gRPC over HTTP/2 (message prefix).
"""

from collections.abc import Callable, Iterable

PUT = "/etcdserverpb.KV/Put"
RANGE = "/etcdserverpb.KV/Range"
TXN = "/etcdserverpb.KV/Txn"

LENGTH_DELIMITED = 2


def varint(number: int) -> bytes:
    """Returns a number in base 128, least significant group first."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def field(number: int, content: bytes) -> bytes:
    """Returns a field that holds bytes or a message."""
    return varint(number << 3 | LENGTH_DELIMITED) + varint(len(content)) + content


def prefixed(message: bytes) -> bytes:
    """Returns a gRPC message: not compressed, its length, itself."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def put_request(key: bytes, value: bytes) -> bytes:
    """Returns a PutRequest."""
    return field(1, key) + field(2, value)


def range_request(key: bytes) -> bytes:
    """Returns a RangeRequest for one key; linearizable, which is the default."""
    return field(1, key)


def txn_of_puts(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Returns a TxnRequest without conditions that puts all pairs, under one revision."""
    return b"".join(field(2, field(2, put_request(key, value))) for key, value in pairs)


def put_writer(*, key_bytes: int, value_bytes: int) -> Callable[[bytes, bytes], bytes]:
    """Returns a quick `prefixed(put_request(key, value))` for keys and values of fixed sizes."""
    model = prefixed(put_request(bytes(key_bytes), bytes(value_bytes)))
    middle = b"\x12" + varint(value_bytes)
    head = model[: len(model) - value_bytes - len(middle) - key_bytes]
    return lambda key, value: b"".join((head, key, middle, value))


def range_writer(*, key_bytes: int) -> Callable[[bytes], bytes]:
    """Returns a quick `prefixed(range_request(key))` for keys of a fixed size."""
    head = prefixed(range_request(bytes(key_bytes)))[:-key_bytes]
    return lambda key: head + key
