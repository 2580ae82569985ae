"""base58_encode_decode.json: bytes in hex, and their text."""

from typing import Any

from tests.support.vectors import vectors

from drystone.crypto import base58


@vectors("base58_encode_decode.json", cases_of=list)
def test_bytes_and_text_stand_for_each_other(case: Any) -> None:
    data, text = bytes.fromhex(case[0]), case[1]
    assert base58.encode(data) == text
    assert base58.decode(text, max_bytes=len(data)) == data
