"""Which names, addresses, subjects and lifetimes a certificate can have."""

import pytest

from libelli.live.certificates import IssueRequest, Kind, RequestError, Subject
from libelli.live.certificates.subjects import ADDRESSES_MAX, canonical_address, check_name


@pytest.mark.parametrize("name", ["n1", "N1", "eu-west-1.n1", "a_b", "7", "x" * 63])
def test_a_name_of_letters_digits_and_inner_signs_is_taken(name: str) -> None:
    assert IssueRequest(name=name, kind=Kind.PEER).name == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "the name is empty"),
        ("x" * 64, "longer than 63 characters"),
        ("x" * 10_000, r"\(10,000 characters\) is longer than 63"),
        ("a/b", "use letters, digits"),
        ("../n1", "use letters, digits"),
        ("..", "use letters, digits"),
        ("a..b", "use letters, digits"),
        (".n1", "use letters, digits"),
        ("n1-", "use letters, digits"),
        ("n1\n", r"'n1\\n' has characters"),
        ("n\x00", r"'n\\x00' has characters"),
        ("n\x1b[31m", r"\\x1b"),
        ("ñ1", r"'\\xf11' has characters"),
        ("n 1", "use letters, digits"),
        ("*", "use letters, digits"),
        ("crl", "kept for the authority's own file"),
        ("CA", "kept for the authority's own file"),
    ],
)
def test_a_name_that_is_no_name_is_refused_in_one_printable_line(name: str, words: str) -> None:
    with pytest.raises(RequestError, match=words) as refusal:
        check_name(name)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::0001", "::1"),
        ("2001:DB8::7", "2001:db8::7"),
        ("N1.Example.ORG", "n1.example.org"),
        ("localhost", "localhost"),
        ("my_service", "my_service"),
        ("1.2.3.example", "1.2.3.example"),
    ],
)
def test_an_address_takes_its_canonical_form(given: str, canonical: str) -> None:
    assert canonical_address(given) == canonical


@pytest.mark.parametrize(
    "address",
    [
        "",
        "300.1.1.1",
        "1.2.3",
        "127.0.0.1:4001",
        "[::1]",
        ":::",
        "fe80::1%eth0",
        "https://n1",
        "n1:4001",
        "*.example.org",
        "-n1",
        "n1..org",
        "n1.",
        "bücher.example",
        "n1\n",
        "n\x00",
        "a." * 127 + "a",
        "x" * 64,
        "x" * 10_000,
    ],
)
def test_an_address_that_is_none_is_refused_with_the_way_out(address: str) -> None:
    with pytest.raises(RequestError, match=r"address '.*(write it without|leave '%)") as refusal:
        canonical_address(address)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 350


def test_too_many_addresses_are_refused() -> None:
    addresses = tuple(f"10.0.0.{n}" for n in range(ADDRESSES_MAX + 1))
    with pytest.raises(RequestError, match="33 addresses are more than 32"):
        IssueRequest(name="n1", kind=Kind.PEER, addresses=addresses)


def test_a_client_has_no_address() -> None:
    with pytest.raises(RequestError, match="nobody dials a client"):
        IssueRequest(name="alice", kind=Kind.CLIENT, addresses=("10.0.0.1",))


@pytest.mark.parametrize("days", [0, -1, 3_651, 10**12])
def test_a_lifetime_outside_the_limits_is_refused(days: int) -> None:
    with pytest.raises(RequestError, match=r"outside 1 to 3,650"):
        IssueRequest(name="n1", kind=Kind.PEER, days=days)


@pytest.mark.parametrize("country", ["United States", "U", "U1", "USA", "ÉÉ", " US"])
def test_a_country_is_a_code_of_two_letters(country: str) -> None:
    with pytest.raises(RequestError, match=r"not a two-letter code: write one of ISO 3166"):
        Subject(country=country)
    assert Subject(country="us").country == "US"


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("organization", "x" * 65, "longer than 64"),
        ("province", "x" * 129, "longer than 128"),
        ("locality", "Paris\n", "cannot be printed"),
        ("organization", "a\x1b[2Jb", "cannot be printed"),
        ("organization", "  ", "is blank"),
    ],
)
def test_a_subject_that_x509_has_no_room_for_is_refused(field: str, text: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        Subject(**{field: text})
    assert Subject(organization="Société générale").organization == "Société générale"
