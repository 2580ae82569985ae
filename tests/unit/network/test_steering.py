"""What a network can be told: each verb's parameters, and what is refused in one sentence."""

import inspect
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drystone.core.errors import UserError
from drystone.network.helm import Helm
from drystone.network.steering import (
    BY_NAME,
    VERBS,
    Kind,
    request_from_fields,
    satoshis_from_text,
    value_from_text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_the_helm_carries_out_every_verb_with_just_its_parameters() -> None:
    for verb in VERBS:
        method = getattr(Helm, f"_{verb.method}")
        taken = list(inspect.signature(method).parameters)[1:]
        named = [{"from": "from_"}.get(one.name, one.name) for one in verb.parameters]
        assert taken == [name.replace("-", "_") for name in named], verb.name


def test_what_is_not_said_has_its_default() -> None:
    assert request_from_fields({"verb": "mine", "node": "n0"}).arguments == {
        "node": "n0",
        "count": 1,
    }
    assert request_from_fields({"verb": "heal"}).arguments == {}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "no verb: there are status, tips, "),
        ({"verb": 3}, "no verb: there are "),
        ({"verb": "explode"}, "no verb 'explode': there are "),
        ({"verb": "mine"}, "mine wants 'node': "),
        ({"verb": "mine", "node": ""}, "mine: 'node' is to be a name"),
        ({"verb": "mine", "node": "n0\x1b[2J"}, "mine: 'node' is to be a name"),
        ({"verb": "mine", "node": "n" * 201}, "mine: 'node' is to be a name"),
        ({"verb": "mine", "node": "n0", "count": 0}, "mine: 'count' is to be a whole number from"),
        ({"verb": "mine", "node": "n0", "count": True}, "mine: 'count' is to be a whole number"),
        ({"verb": "mine", "node": "n0", "count": 1 << 60}, "mine: 'count' is to be a whole number"),
        ({"verb": "mine", "node": "n0", "blocks": 1}, "mine has no 'blocks': it takes count, node"),
        ({"verb": "heal", "all": True}, "heal has no 'all': it takes nothing"),
        ({"verb": "partition", "groups": []}, "partition: 'groups' is to be an array of arrays"),
        ({"verb": "partition", "groups": ["n0"]}, "partition: 'groups' is to be an array of array"),
        (
            {"verb": "partition", "groups": [["n0"]], "silent": 1},
            "partition: 'silent' is to be tru",
        ),
        ({"verb": "advance", "seconds": float("nan")}, "advance: 'seconds' is to be a number"),
        ({"verb": "advance", "seconds": -1}, "advance: 'seconds' is to be a number"),
        (
            {"verb": "send", "from": "alice", "to": "bob", "amount": 0},
            "send: 'amount' is to be satoshis",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(
    fields: dict[str, object], complaint: str
) -> None:
    with pytest.raises(UserError) as refused:
        request_from_fields(fields)
    assert str(refused.value).startswith(complaint)
    assert "\n" not in str(refused.value)


@given(
    verb=st.sampled_from([*BY_NAME, "nonsense"]),
    rest=st.dictionaries(
        st.sampled_from(["node", "count", "groups", "from", "amount", "seconds", "limit"])
        | st.text(),
        JSON,
        max_size=5,
    ),
)
def test_any_object_is_a_request_or_refused(verb: str, rest: dict[str, object]) -> None:
    with suppress(UserError):
        json.dumps(request_from_fields({**rest, "verb": verb}).arguments, allow_nan=False)


@given(kind=st.sampled_from(Kind), text=st.text())
def test_any_word_is_a_value_or_refused(kind: Kind, text: str) -> None:
    with suppress(UserError):
        json.dumps(value_from_text(kind, text), allow_nan=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", 150_000_000),
        ("0.00000001", 1),
        ("21", 2_100_000_000),
        ("2000sat", 2_000),
        ("2000 sat", 2_000),
        ("1 BTC", 100_000_000),
    ],
)
def test_amounts_are_in_bitcoins_unless_they_say_satoshis(text: str, value: int) -> None:
    assert satoshis_from_text(text) == value


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.123456789", "1e3", "21000001", "½", "1,5", "sat"]
)
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(UserError, match="is no amount"):
        satoshis_from_text(text)


def test_examples_are_of_the_verbs_they_stand_by() -> None:
    for verb in VERBS:
        assert all(example.split()[0] == verb.name for example in verb.examples)
        assert verb.summary.endswith(".") and "\n" not in verb.summary
