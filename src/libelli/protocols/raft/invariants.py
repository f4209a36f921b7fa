"""What always holds in a replica between two steps; the simulator looks after each.

What holds between replicas (Election Safety, Log Matching, Leader Completeness, State Machine Safety; figure 3.2)
needs all of them and is judged by the tests and the simulator.
"""

from libelli.core.errors import InvariantError
from libelli.protocols.raft.progress import Progress, ProgressState
from libelli.protocols.raft.state import Leading, Role, State


def check(state: State) -> None:
    """Looks at everything.

    Raises:
        InvariantError: something does not hold; the replica must stop.
    """
    check_order(state)
    check_role(state)
    check_configurations(state)
    check_waiters(state)
    if state.leading is not None:
        check_leading(state, state.leading)


def require(holds: bool, claim: str, state: State) -> None:
    """Raises unless `claim` holds."""
    if not holds:
        raise InvariantError(f"node {state.node}, term {state.term}, {state.role}: it does not hold that {claim}")


def check_order(state: State) -> None:
    """Indexes keep their order along the log."""
    log = state.log
    require(log.start_index <= state.applied, f"start {log.start_index} ≤ applied {state.applied}", state)
    require(state.applied <= state.handed, f"applied {state.applied} ≤ handed {state.handed}", state)
    require(state.handed <= state.commit, f"handed {state.handed} ≤ commit {state.commit}", state)
    require(state.commit <= state.matched, f"commit {state.commit} ≤ matched {state.matched}", state)
    require(state.matched <= log.last_index, f"matched {state.matched} ≤ last {log.last_index}", state)
    durable = state.durability.index
    require(log.start_index <= durable <= log.last_index, f"durable {durable} lies in the log", state)
    require(log.last_term <= state.term, f"the last entry's term {log.last_term} is not of the future", state)


def check_role(state: State) -> None:
    """A role has exactly what it needs."""
    role = state.role
    require((role is Role.LEADER) == (state.leading is not None), "only a leader leads", state)
    require((role is Role.LEADER) == (state.leader == state.node), "only a leader names itself", state)
    is_standing = role in (Role.CANDIDATE, Role.PRE_CANDIDATE)
    require(is_standing == (state.ballot is not None), "only candidates count votes", state)
    if role in (Role.CANDIDATE, Role.LEADER):
        require(state.voted_for == state.node, f"it voted for itself, not for {state.voted_for}", state)
    if state.installation is not None:
        require(role is Role.FOLLOWER, "only a follower installs a snapshot", state)
        require(state.applied < state.installation.offer.index, "an installation brings something new", state)


def check_configurations(state: State) -> None:
    """The configuration in force stands in the log."""
    index = state.configurations.latest_index
    require(state.log.start_index <= index <= state.log.last_index, f"the configuration at {index} exists", state)
    require(state.voters == state.configuration.voter_nodes, "the voters are those of the configuration", state)


def check_waiters(state: State) -> None:
    """Whoever waits for an entry will be answered."""
    for index in state.waiters:
        is_open = state.handed < index <= state.log.last_index
        require(is_open, f"entry {index}, for which somebody waits, is not handed over yet", state)
        require(
            state.leading is not None or index <= state.commit,
            f"entry {index} is committed: nobody else waits at a follower",
            state,
        )


def check_leading(state: State, leading: Leading) -> None:
    """A leader knows all members but itself, and nothing impossible of them."""
    others = [node for node in state.configuration.nodes if node != state.node]
    require(list(leading.progress) == others, f"it follows the progress of {others}", state)
    learners = [member.node for member in state.configuration.learners if member.node != state.node]
    require(list(leading.catch_ups) == learners, f"it measures the learners {learners}", state)
    require(leading.first_index <= state.log.last_index, "its own first entry stands in the log", state)
    for node, progress in leading.progress.items():
        check_progress(state, node, progress)


def check_progress(state: State, node: int, progress: Progress) -> None:
    """What a leader believes of a follower fits its own log and the limits."""
    last, options = state.log.last_index, state.options
    require(progress.match <= last, f"node {node} matches up to {progress.match}, at most {last}", state)
    require(
        progress.match < progress.next_index <= last + 1,
        f"node {node} is sent {progress.next_index} next, after {progress.match} and at most {last + 1}",
        state,
    )
    inflight = progress.inflight_messages
    require(inflight <= options.inflight_messages, f"node {node} has a bounded window, {inflight}", state)
    largest = options.inflight_bytes + max(
        options.message_bytes, state.log.size(after=state.log.start_index, last=last)
    )
    require(progress.inflight_bytes <= largest, f"node {node} has a bounded window of bytes", state)
    if progress.state is not ProgressState.REPLICATE:
        require(inflight == 0, f"nothing is in flight to node {node} while {progress.state}", state)
