"""Random rows: keys that share long prefixes, stand at the edges of pieces, or are empty."""

from collections.abc import Mapping, Sequence

import hypothesis.strategies as st

from libelli.host.chunks import Rows

TABLES = (0, 1, 7, 15)

_PREFIX_SIZES = (0, 0, 0, 480, 499, 500, 501, 510, 511, 512, 999, 1000, 1001, 2000)
_ENDINGS = st.lists(st.sampled_from((0, 1, 97, 98, 255)), max_size=3).map(bytes)

tables = st.sampled_from(TABLES)
keys = st.builds(
    lambda letter, size, ending: letter * size + ending,
    st.sampled_from((b"a", b"b")),
    st.sampled_from(_PREFIX_SIZES),
    _ENDINGS,
) | st.builds(
    # continues with zeros, which is also how a piece that goes on is marked
    lambda size, ending: b"a" * 500 + b"\0" * size + ending,
    st.sampled_from((1, 2, 499, 500, 501)),
    _ENDINGS,
)
ends = st.none() | keys
values = st.binary(max_size=4) | st.just(b"v" * 5000)


def runs_of(rows: Mapping[tuple[int, bytes], bytes | None]) -> Sequence[Rows]:
    """Returns the rows as runs, sorted."""
    return [
        Rows(table, [(key, value) for (its_table, key), value in sorted(rows.items()) if its_table == table])
        for table in sorted({table for table, _ in rows})
    ]


changes = st.dictionaries(st.tuples(tables, keys), st.none() | values, max_size=8).map(runs_of)
contents = st.dictionaries(st.tuples(tables, keys), values, max_size=8).map(runs_of)
