"""The service of the cluster: how its nodes are, who belongs to it, and a copy of everything."""

from collections.abc import AsyncIterator
from typing import Any

import libelli.api.grpc.libelli_pb2 as pb
from libelli.api.grpc.calls import Door, streamed, timeout_ms, unary
from libelli.api.grpc.libelli_pb2_grpc import ClusterServicer
from libelli.api.grpc.messages import member_message, wanted_member
from libelli.core.calls import GroupStatus, NodeStatus
from libelli.core.errors import CallError, Code, Refused
from libelli.core.ids import NodeId
from libelli.core.members import Member


class Cluster(ClusterServicer):
    """See `libelli.proto`."""

    def __init__(self, door: Door) -> None:
        self.door = door

    @unary
    async def Status(self, request: pb.StatusRequest, context: Any) -> pb.ClusterStatus:
        client = self.door.client
        found = await client.statuses(timeout_ms=timeout_ms(context))
        nodes = [_status_message(member, status) for member, status in found]
        return pb.ClusterStatus(cluster=client.cluster, nodes=nodes)

    @unary
    async def AddMember(self, request: pb.AddMemberRequest, context: Any) -> pb.Member:
        wanted = request.member
        if wanted.node:
            raise Refused(f"number {wanted.node} for a new member: leave it out", code=Code.INVALID)
        member = await self.door.client.add_member(
            wanted.name,
            region=wanted.region,
            peer_address=wanted.peer_address,
            client_address=wanted.client_address,
            grpc_address=wanted.grpc_address,
            timeout_ms=timeout_ms(context),
        )
        return member_message(member)

    @unary
    async def PromoteMember(self, request: pb.MemberRequest, context: Any) -> pb.Member:
        client = self.door.client
        return member_message(await client.promote_member(_required(request), timeout_ms=timeout_ms(context)))

    @unary
    async def RemoveMember(self, request: pb.MemberRequest, context: Any) -> pb.Member:
        client = self.door.client
        return member_message(await client.remove_member(_required(request), timeout_ms=timeout_ms(context)))

    @unary
    async def TransferLeadership(self, request: pb.MemberRequest, context: Any) -> pb.TransferDone:
        wanted = wanted_member(request)
        member = await self.door.client.transfer_leadership(wanted, timeout_ms=timeout_ms(context))
        return pb.TransferDone() if member is None else pb.TransferDone(member=member_message(member))

    @streamed
    async def SaveSnapshot(self, request: pb.SnapshotRequest, context: Any) -> AsyncIterator[pb.SnapshotPart]:
        async for part in self.door.client.snapshot_parts(timeout_ms=timeout_ms(context)):
            yield pb.SnapshotPart(data=part)


def _required(request: pb.MemberRequest) -> str | NodeId:
    wanted = wanted_member(request)
    if not wanted:
        raise Refused("neither name nor number of a member: give one of them", code=Code.INVALID)
    return wanted


def _status_message(member: Member, status: NodeStatus | CallError) -> pb.NodeStatus:
    if isinstance(status, CallError):
        return pb.NodeStatus(member=member_message(member), error=str(status))
    return pb.NodeStatus(
        member=member_message(member),
        version=status.version,
        uptime_ms=status.uptime_ms,
        groups=map(_group_message, status.groups),
        alarms=status.alarms,
    )


def _group_message(group: GroupStatus) -> pb.GroupStatus:
    return pb.GroupStatus(
        collection=group.collection,
        role=group.role,
        term=group.term,
        leader=group.leader,
        commit=group.commit,
        applied=group.applied,
        lag=group.lag,
        revision=group.revision,
        compact_revision=group.compact_revision,
        size_bytes=group.size_bytes,
    )
