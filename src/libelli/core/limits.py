"""The one table of what is accepted; every door checks against it, DESIGN.md prints it.

Sizes are bytes unless the name says otherwise. Whatever is over a limit gets an error that names the value
and the limit, and changes nothing.
"""

KIB = 1024
MIB = 1024 * KIB

KEY_SIZE_MAX = 1 * MIB
VALUE_SIZE_MAX = 1 * MIB
COMMAND_SIZE_MAX = 3 * MIB // 2
"""One command as encoded (1.5 MiB, as etcd): a largest key beside a largest value does not fit."""
FRAME_SIZE_MAX = 2 * MIB
"""One client frame: a batch of commands; also one log entry, which is a client frame."""
FRAME_COMMANDS_MAX = 4096
"""Commands in one client frame."""
TRANSACTION_OPERATIONS_MAX = 128
"""Compares, successes or failures of one transaction, nested ones included."""
RANGE_ANSWER_SIZE_MAX = 8 * MIB
"""One answer to a range; a longer range is cut at this size and says `more`."""
PEER_FRAME_SIZE_MAX = 16 * MIB
"""One frame between nodes; the sender cuts its batches far below it."""
SESSION_FRAMES_MAX = 64
"""Frames of one session that may wait for their answers; also what a session remembers for retries."""
SESSION_ANSWERS_SIZE_MAX = 64 * KIB
"""Answers to one frame that a session remembers; larger ones are not, and the frame repeated may have happened."""
SESSIONS_MAX = 10_000
"""Registered sessions a group; the least recently used one expires first."""
SESSION_IDLE_MS_MAX = 3_600_000
"""A session that was silent for this long may expire."""
CONNECTIONS_MAX = 1_000
"""Client connections a node."""
CONNECTION_CALLS_MAX = 4096
"""Calls of one connection that may wait for their answers."""
UNAPPLIED_BYTES_MAX = 64 * MIB
"""Proposed and not yet applied, a group: beyond it a leader answers `overloaded`."""
WATCHERS_MAX = 10_000
"""Watchers a node."""
WATCHER_BUFFER_SIZE_MAX = 8 * MIB
"""Events that wait for one connection's watchers to read; beyond it they fall back to reading the store."""
LEASE_TTL_S_MAX = 9_000_000_000
"""The longest lease, in seconds (as etcd)."""
QUOTA_BYTES_DEFAULT = 2 * 1024 * MIB
"""Bytes of keys, values and history a group may hold, unless configured."""
MEMBERS_MAX = 64
"""Voters and learners of one group."""
MEMBER_TEXT_SIZE_MAX = 256
"""The name, the region and each address of a member, in UTF-8: they stand in every configuration."""
MEMBER_NUMBERS_SKIPPED_MAX = 1_000
"""Numbers that an added member's own number may leave out: those that are left out are never used again."""
