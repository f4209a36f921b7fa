"""Messages of the gRPC door as the store's commands, and the store's answers as messages."""

from collections.abc import Iterable

import libelli.api.grpc.libelli_pb2 as pb
from libelli.core.errors import FIRST_INDEFINITE, Code, Refused
from libelli.core.ids import NO_NODE, NodeId
from libelli.core.members import Member
from libelli.stores.mvcc.commands import (
    Answer,
    Command,
    Compact,
    CompactDone,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteDone,
    DeleteRange,
    Failed,
    KeyValue,
    LeaseDone,
    LeaseGrant,
    LeaseRead,
    LeaseReadDone,
    LeaseRevoke,
    LeaseState,
    Operation,
    Put,
    PutDone,
    Range,
    RangeDone,
    SortOrder,
    SortTarget,
    Transaction,
    TransactionDone,
    WatchEvent,
)

COMMANDS_OF_A_STORE = "put, range, delete, transaction, compact, grant_lease, revoke_lease or read_leases"


def command_of(message: pb.Command) -> Command:
    """Returns the command in a message.

    Raises:
        Refused: there is none, or a number has no meaning.
    """
    match message.WhichOneof("command"):
        case "put":
            return put_of(message.put)
        case "range":
            return range_of(message.range)
        case "delete":
            return delete_of(message.delete)
        case "transaction":
            return transaction_of(message.transaction)
        case "compact":
            return Compact(message.compact.revision)
        case "grant_lease":
            return LeaseGrant(message.grant_lease.lease, message.grant_lease.ttl_s)
        case "revoke_lease":
            return LeaseRevoke(message.revoke_lease.lease)
        case "read_leases":
            return LeaseRead(message.read_leases.lease, message.read_leases.keys)
    raise Refused(f"a command without {COMMANDS_OF_A_STORE}: set one of them", code=Code.INVALID)


def put_of(message: pb.Put) -> Put:
    """Returns the command in a message."""
    return Put(message.key, message.value, message.lease, message.previous, message.keep_value, message.keep_lease)


def range_of(message: pb.Range) -> Range:
    """Returns the command in a message.

    Raises:
        Refused: an order or target that this version does not know.
    """
    try:
        order, target = SortOrder(message.order), SortTarget(message.target)
    except ValueError as error:
        raise Refused(f"{error}: ask for an order that libelli.proto knows", code=Code.INVALID) from error
    return Range(
        message.key,
        message.end,
        message.limit,
        message.revision,
        order,
        target,
        message.keys_only,
        message.count_only,
        message.min_mod_revision,
        message.max_mod_revision,
        message.min_create_revision,
        message.max_create_revision,
    )


def delete_of(message: pb.Delete) -> DeleteRange:
    """Returns the command in a message."""
    return DeleteRange(message.key, message.end, message.previous)


def transaction_of(message: pb.Transaction) -> Transaction:
    """Returns the command in a message.

    Raises:
        Refused: an operation is missing, or a number has no meaning.
    """
    return Transaction(
        tuple(compare_of(compare) for compare in message.compares),
        tuple(operation_of(operation) for operation in message.success),
        tuple(operation_of(operation) for operation in message.failure),
    )


def compare_of(message: pb.Compare) -> Compare:
    """Returns the condition in a message.

    Raises:
        Refused: a target or result that this version does not know.
    """
    try:
        target, result = CompareTarget(message.target), CompareResult(message.result)
    except ValueError as error:
        raise Refused(f"{error}: compare as libelli.proto says", code=Code.INVALID) from error
    return Compare(message.key, target, result, message.number, message.value, message.end)


def operation_of(message: pb.Operation) -> Operation:
    """Returns the operation in a message.

    Raises:
        Refused: there is none.
    """
    match message.WhichOneof("operation"):
        case "put":
            return put_of(message.put)
        case "range":
            return range_of(message.range)
        case "delete":
            return delete_of(message.delete)
        case "transaction":
            return transaction_of(message.transaction)
    raise Refused("an operation without put, range, delete or transaction: set one of them", code=Code.INVALID)


# -- answers --------------------------------------------------------------------------------------------------


def answer_message(answer: Answer) -> pb.Answer:
    """Returns the message for the answer to any command."""
    match answer:
        case PutDone():
            return pb.Answer(put=put_message(answer))
        case RangeDone():
            return pb.Answer(range=range_message(answer))
        case DeleteDone():
            return pb.Answer(delete=delete_message(answer))
        case TransactionDone():
            return pb.Answer(transaction=transaction_message(answer))
        case CompactDone(revision):
            return pb.Answer(compact=pb.CompactDone(revision=revision))
        case LeaseDone():
            return pb.Answer(lease=lease_message(answer))
        case LeaseReadDone():
            return pb.Answer(leases=leases_message(answer))
        case Failed(code, message):
            return pb.Answer(failed=failed_message(code, message))


def failed_message(code: Code, message: str) -> pb.Failed:
    """Returns the message for a command that ended without its answer."""
    return pb.Failed(code=code.name, message=message, may_have_happened=code >= FIRST_INDEFINITE)


def item_message(item: KeyValue) -> pb.KeyValue:
    """Returns the message for a key."""
    return pb.KeyValue(
        key=item.key,
        value=item.value,
        create_revision=item.create_revision,
        mod_revision=item.mod_revision,
        version=item.version,
        lease=item.lease,
    )


def put_message(answer: PutDone) -> pb.PutDone:
    """Returns the message for an answer."""
    if answer.previous is None:
        return pb.PutDone(revision=answer.revision)
    return pb.PutDone(revision=answer.revision, previous=item_message(answer.previous))


def range_message(answer: RangeDone) -> pb.RangeDone:
    """Returns the message for an answer."""
    items = map(item_message, answer.items)
    return pb.RangeDone(revision=answer.revision, count=answer.count, more=answer.more, items=items)


def delete_message(answer: DeleteDone) -> pb.DeleteDone:
    """Returns the message for an answer."""
    previous = map(item_message, answer.previous)
    return pb.DeleteDone(revision=answer.revision, deleted=answer.deleted, previous=previous)


def transaction_message(answer: TransactionDone) -> pb.TransactionDone:
    """Returns the message for an answer."""
    answers = map(answer_message, answer.answers)
    return pb.TransactionDone(revision=answer.revision, succeeded=answer.succeeded, answers=answers)


def lease_message(answer: LeaseDone) -> pb.LeaseDone:
    """Returns the message for an answer."""
    return pb.LeaseDone(revision=answer.revision, lease=answer.lease, ttl_s=answer.ttl_s)


def leases_message(answer: LeaseReadDone) -> pb.LeaseReadDone:
    """Returns the message for an answer."""
    return pb.LeaseReadDone(revision=answer.revision, leases=map(lease_state_message, answer.leases))


def lease_state_message(state: LeaseState) -> pb.LeaseState:
    """Returns the message for a lease."""
    return pb.LeaseState(lease=state.lease, ttl_s=state.ttl_s, keys=state.keys, remaining_ms=state.remaining_ms)


def progress_message(revision: int, events: Iterable[WatchEvent]) -> pb.WatchProgress:
    """Returns the message for some changes."""
    return pb.WatchProgress(revision=revision, events=map(event_message, events))


def event_message(event: WatchEvent) -> pb.WatchEvent:
    """Returns the message for one change."""
    if event.previous is None:
        return pb.WatchEvent(item=item_message(event.item))
    return pb.WatchEvent(item=item_message(event.item), previous=item_message(event.previous))


# -- members --------------------------------------------------------------------------------------------------


def member_message(member: Member) -> pb.Member:
    """Returns the message for a member."""
    return pb.Member(
        node=member.node,
        name=member.name,
        region=member.region,
        peer_address=member.peer_address,
        client_address=member.client_address,
        grpc_address=member.grpc_address,
    )


def wanted_member(message: pb.MemberRequest) -> str | NodeId:
    """Returns who is meant: a number, a name, or nobody (0)."""
    if message.node:
        return NodeId(message.node)
    return message.name or NO_NODE
