"""What all calls of the gRPC door share: who may call, how long it may take, and how a failure ends it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import Any, NoReturn, TypeVar

import grpc

from libelli.api.grpc.failures import CODE, OUTCOME, abort
from libelli.client import AsyncClient
from libelli.core.errors import CallError, CodecError, LibelliError
from libelli.live.certificates import CertificateWatch, IdentityError

TIMEOUT_MS_DEFAULT = 10_000
TIMEOUT_MS_MAX = 120_000
MARGIN_MS = 50
"""What is left of a caller's time for the way back, so that it hears what became of its call."""

M = TypeVar("M")


class Door:
    """What a service has in hand.

    Args:
        client: of the cluster.
        certificates: of the node; None in plain text.
    """

    def __init__(self, client: AsyncClient, certificates: CertificateWatch | None) -> None:
        self.client = client
        self._certificates = certificates

    async def admit(self, context: Any) -> None:
        """Refuses a caller whose certificate is not of ours or is revoked; its chain was checked by gRPC."""
        if self._certificates is None:
            return
        shown = context.auth_context().get("x509_pem_cert", ())
        try:
            self._certificates.admit_pem(shown[0] if shown else b"")
        except IdentityError as error:
            trailers = ((OUTCOME, "did-not-happen"), (CODE, "DENIED"))
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error), trailers)


def timeout_ms(context: Any) -> int:
    """Returns how long a call may take."""
    remaining_s = context.time_remaining()
    if remaining_s is None:
        return TIMEOUT_MS_DEFAULT
    return max(1, min(round(remaining_s * 1000) - MARGIN_MS, TIMEOUT_MS_MAX))


def unary(method: Callable[..., Awaitable[M]]) -> Callable[..., Awaitable[M]]:
    """Returns a method that admits its caller and ends a failure with status and trailers."""

    @wraps(method)
    async def call(self: Any, request: Any, context: Any) -> M:
        await self.door.admit(context)
        try:
            return await method(self, request, context)
        except CallError as error:
            await abort(context, error)
        except CodecError as error:
            await _abort_defect(context, error)

    return call


def streamed(method: Callable[..., AsyncIterator[M]]) -> Callable[..., AsyncIterator[M]]:
    """Returns the same for a method that answers with a stream."""

    @wraps(method)
    async def call(self: Any, request: Any, context: Any) -> AsyncIterator[M]:
        await self.door.admit(context)
        try:
            async for message in method(self, request, context):
                yield message
        except CallError as error:
            await abort(context, error)
        except CodecError as error:
            await _abort_defect(context, error)

    return call


async def _abort_defect(context: Any, error: LibelliError) -> NoReturn:
    """A node has answered with something else than was asked: nobody knows what it has done."""
    await context.abort(grpc.StatusCode.INTERNAL, str(error), ((OUTCOME, "may-have-happened"),))
    raise error  # `abort` has raised already
