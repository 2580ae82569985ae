"""MuHash: sets with the same elements have the same digest, however they came about."""

from struct import pack

from hypothesis import given
from hypothesis import strategies as st

from drystone.chain.coins_digest import MuHash
from drystone.crypto.chacha20 import chacha20, keystream, keystreams
from drystone.crypto.muhash import MODULUS, NUMBER_BYTES, product

ELEMENTS = st.lists(st.binary(max_size=8), max_size=12)
KEYS = st.binary(min_size=32, max_size=32)
NONCES = st.binary(min_size=12, max_size=12)


def muhash(elements: list[bytes], removed: list[bytes] | None = None) -> MuHash:
    digest = MuHash()
    digest.insert(elements)
    digest.remove(removed or [])
    return digest


@given(elements=ELEMENTS, data=st.data())
def test_order_does_not_matter(elements: list[bytes], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(elements))
    assert muhash(list(shuffled)).digest() == muhash(elements).digest()


@given(kept=ELEMENTS, gone=ELEMENTS)
def test_what_was_added_and_taken_away_was_never_there(
    kept: list[bytes], gone: list[bytes]
) -> None:
    expected = muhash(kept).digest()
    assert muhash(kept + gone, gone[::-1]).digest() == expected
    before = MuHash()
    before.remove(gone)
    before.insert(gone + kept)
    assert before.digest() == expected


@given(ours=ELEMENTS, theirs=ELEMENTS, our_loss=ELEMENTS, their_loss=ELEMENTS)
def test_a_union_has_what_both_have(
    ours: list[bytes], theirs: list[bytes], our_loss: list[bytes], their_loss: list[bytes]
) -> None:
    one, other = muhash(ours, our_loss), muhash(theirs, their_loss)
    others_digest = other.digest()
    one.union(other)
    assert one.digest() == muhash(ours + theirs, our_loss + their_loss).digest()
    assert other.digest() == others_digest


@given(elements=ELEMENTS, others=ELEMENTS)
def test_other_sets_have_other_digests(elements: list[bytes], others: list[bytes]) -> None:
    same = muhash(elements).digest() == muhash(others).digest()
    assert same == (sorted(elements) == sorted(others))


@given(
    numbers=st.lists(
        st.one_of(
            st.integers(0, 2**3072 - 1),
            st.integers(MODULUS - 2, 2**3072 - 1),
            st.integers(0, 2),
        ),
        max_size=5,
    )
)
def test_products_are_those_of_integers(numbers: list[int]) -> None:
    expected = 1
    for number in numbers:
        expected *= number
    joined = b"".join(number.to_bytes(NUMBER_BYTES, "little") for number in numbers)
    assert product(joined) % MODULUS == expected % MODULUS


# ChaCha20 once more, word by word as RFC 8439 tells it.


def plain_block(key: bytes, nonce: bytes, counter: int) -> bytes:
    before = b"expand 32-byte k" + key + pack("<I", counter) + nonce
    start = [int.from_bytes(before[at : at + 4], "little") for at in range(0, 64, 4)]
    x = start[:]

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for to, add, mix, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[to] = (x[to] + x[add]) % 2**32
            turned = (x[mix] ^ x[to]) << bits
            x[mix] = (turned | turned >> 32) % 2**32

    for _ in range(10):
        for n in range(4):
            quarter(n, 4 + n, 8 + n, 12 + n)
        for n in range(4):
            quarter(n, 4 + (n + 1) % 4, 8 + (n + 2) % 4, 12 + (n + 3) % 4)
    return b"".join(pack("<I", (x[n] + start[n]) % 2**32) for n in range(16))


@given(key=KEYS, nonce=NONCES, counter=st.integers(0, 2**32 - 4), blocks=st.integers(0, 4))
def test_a_keystream_is_what_one_word_after_the_other_would_be(
    key: bytes, nonce: bytes, counter: int, blocks: int
) -> None:
    plain = b"".join(plain_block(key, nonce, counter + n) for n in range(blocks))
    assert keystream(key, nonce, counter, blocks) == plain


@given(keys=st.lists(KEYS, max_size=5), blocks=st.integers(0, 4))
def test_many_keystreams_are_what_each_would_be(keys: list[bytes], blocks: int) -> None:
    plain = b"".join(plain_block(key, bytes(12), n) for key in keys for n in range(blocks))
    assert keystreams(b"".join(keys), blocks) == plain


@given(key=KEYS, nonce=NONCES, counter=st.integers(0, 2**31), data=st.binary(max_size=300))
def test_encrypting_twice_gives_the_text_again(
    key: bytes, nonce: bytes, counter: int, data: bytes
) -> None:
    encrypted = chacha20(key, nonce, counter, data)
    assert len(encrypted) == len(data)
    assert chacha20(key, nonce, counter, encrypted) == data
    whole_blocks = len(data) // 64 * 64
    assert chacha20(key, nonce, counter, data[:whole_blocks]) == encrypted[:whole_blocks]
