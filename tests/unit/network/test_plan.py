"""Networks written down: by options, or in a file."""

from pathlib import Path

import pytest

from drystone.consensus.chains import LOCAL, REGTEST
from drystone.core.errors import UserError
from drystone.core.link import LinkSettings
from drystone.core.streams import Connection
from drystone.network.plan import LinkPlan, NodePlan, Plan, plan_from_options
from drystone.network.plan_file import read_plan
from drystone.network.threaded import LiveNetwork
from drystone.network.virtual import VirtualNetwork
from drystone.p2p.netaddress import NetAddress

WHOLE = """
chain = "local"
seed = 7
hashes_per_s = 6000
topology = "line"
connections = [["big", "relay2"]]
accounts = ["alice", "zoe"]

[[node]]
name = "big"
hash_share = "50 %"
port = 7000

[[node]]
name = "relay"
count = 3
hashes_per_s = 0

[[node]]

[[node]]
port = 0

[link]
latency = "50 ms"
jitter_ms = 12.5
bandwidth = "10 Mbit/s"

[[links]]
between = ["big", "relay0"]
loss = "2 %"
bandwidth_bytes_per_s = 1000
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "network.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# By options.


def test_options_make_a_ring_that_shares_the_chains_hash_rate() -> None:
    plan = plan_from_options(3)
    assert plan.names == ("n0", "n1", "n2")
    assert plan.connections == (("n0", "n1"), ("n1", "n2"), ("n2", "n0"))
    assert [node.hashes_per_s for node in plan.nodes] == [2185, 2185, 2184]
    assert plan.hashes_per_s == 6554
    assert {node.port for node in plan.nodes} == {None}


def test_a_chain_that_a_single_hash_per_second_would_flood_is_mined_by_hand() -> None:
    assert plan_from_options(3, params=REGTEST).hashes_per_s == 0
    assert plan_from_options(3, params=REGTEST, hashes_per_s=5).hashes_per_s == 5


def test_ports_count_up_from_the_first() -> None:
    plan = plan_from_options(names=["a", "b"], first_port=7000)
    assert [(node.name, node.port) for node in plan.nodes] == [("a", 7000), ("b", 7001)]
    with pytest.raises(UserError, match="no room for 2 ports"):
        plan_from_options(2, first_port=65_535)


@pytest.mark.parametrize("nodes", [0, -1, 10_001])
def test_a_network_has_from_one_to_ten_thousand_nodes(nodes: int) -> None:
    with pytest.raises(UserError, match="network"):
        plan_from_options(nodes)


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        ({"nodes": ("a", "a")}, "two nodes are named a"),
        ({"nodes": ("no spaces", "b")}, "can't name a node"),
        ({"nodes": ("a", "b"), "connections": (("a", "c"),)}, "there is no node c to connect"),
        ({"nodes": ("a", "b"), "connections": (("a", "a"),)}, "a can't be connected to itself"),
        ({"nodes": ("a",), "links": (LinkPlan("a", "x", LinkSettings()),)}, "there is no node x"),
    ],
)
def test_a_plan_that_does_not_fit_together_is_refused(
    plan: dict[str, tuple[str, ...]], complaint: str
) -> None:
    nodes = tuple(map(NodePlan, plan.pop("nodes")))
    with pytest.raises(UserError, match=complaint):
        Plan(nodes, **plan)  # type: ignore[arg-type]


def test_two_nodes_can_not_share_a_port() -> None:
    with pytest.raises(UserError, match="a and b can't both listen on port 7000"):
        Plan((NodePlan("a", port=7000), NodePlan("b", port=7000)))


# From a file.


def test_a_file_says_all_that_a_plan_holds(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, WHOLE))
    assert plan == Plan(
        nodes=(
            NodePlan("big", 3000, 7000),
            NodePlan("relay0", 0),
            NodePlan("relay1", 0),
            NodePlan("relay2", 0),
            NodePlan("n4", 1500),
            NodePlan("n5", 1500),
        ),
        params=LOCAL,
        connections=(
            ("big", "relay0"),
            ("relay0", "relay1"),
            ("relay1", "relay2"),
            ("relay2", "n4"),
            ("n4", "n5"),
            ("big", "relay2"),
        ),
        link=LinkSettings.in_ms(50, 12.5, 1_250_000),
        links=(LinkPlan("big", "relay0", LinkSettings.in_ms(50, 12.5, 1_000, 0.02)),),
        accounts=("alice", "zoe"),
        seed=7,
    )


def test_a_file_of_one_line_is_as_the_options_with_as_many_nodes(tmp_path: Path) -> None:
    assert read_plan(written(tmp_path, "nodes = 5")) == plan_from_options(5)


def test_listed_connections_are_all_there_is_unless_a_topology_is_named(tmp_path: Path) -> None:
    text = 'nodes = 3\nconnections = [["n0", "n1"], ["n1", "n0"]]\n'
    assert read_plan(written(tmp_path, text)).connections == (("n0", "n1"),)
    both = read_plan(written(tmp_path, text + 'topology = "star"'))
    assert both.connections == (("n0", "n1"), ("n0", "n2"))
    assert read_plan(written(tmp_path, "nodes = 3\nconnections = []")).connections == ()


def test_a_chain_file_is_looked_for_beside_the_plan(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"chain: can't read the chain file {tmp_path}/my.toml"):
        read_plan(written(tmp_path, 'nodes = 1\nchain = "my.toml"'))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "nodes: missing, wanted how many nodes there are, or a [[node]] table for each"),
        ("nodes = 0", "nodes: found 0, wanted a whole number from 1 to 10000"),
        ("nodes = true", "nodes: found True, wanted a whole number"),
        ("nodes = 3\nnods = 2", "nods: unknown key; did you mean nodes?"),
        ("nodes = 3\n[[node]]", "node: says the same as nodes; leave one out"),
        ("nodes = ", "not TOML"),
        ("a = " + "[" * 5_000, "not TOML"),
        (b"\xff\xfe", "byte 0 is no UTF-8; is it the right file?"),
        ('nodes = 3\nchain = "mars"', "chain: no chain 'mars': there are"),
        ('nodes = 3\ntopology = "cube"', "topology: no topology 'cube': there are ring"),
        ('nodes = 3\nconnections = "all"', 'connections: found "all", wanted a list of pairs'),
        ('nodes = 3\nconnections = [["n0"]]', "wanted a list of pairs, such as"),
        ('nodes = 3\nconnections = [["n0", "n9"]]', 'connections: found "n9", wanted one of the'),
        ('nodes = 3\nconnections = [["n0", "n0"]]', "wanted two different nodes"),
        ("nodes = 3\nlink = 5", "link: found 5, wanted a table that begins with [link]"),
        ("nodes = 3\n[link]\nlatency = 5", "link.latency: found 5, wanted a time with its unit"),
        ('nodes = 3\n[link]\nlatency_ms = "5"', "link.latency_ms: found "),
        ("nodes = 3\n[link]\nlatency_ms = nan", "link.latency_ms: found nan, wanted a number"),
        ("nodes = 3\n[link]\nloss = 2", "link.loss: found 2, wanted a share from 0 to 1"),
        ('nodes = 3\n[link]\nlatency = "1 s"\nlatency_ms = 5', "link.latency_ms: says the same"),
        ('nodes = 3\n[link]\nbandwidth = "5"', 'bandwidth: found "5", wanted a rate with its unit'),
        ("nodes = 3\n[[links]]", "links[0].between: missing, wanted two names"),
        (
            'nodes = 3\n[[links]]\nbetween = ["n0", "x"]',
            'links[0].between: found "x", wanted one of',
        ),
        (
            '[[node]]\nname = "a"\n[[node]]\nname = "a"',
            'node[1].name: found "a", wanted a name that',
        ),
        ('[[node]]\nname = "n1"\n[[node]]', 'node[1].name: found "n1", wanted a name'),
        ('[[node]]\nname = "../x"', 'node[0].name: found "../x", wanted a name of up to 32'),
        (
            "[[node]]\ncount = 2\nport = 7000",
            "node[0].port: found 7000, wanted none where",
        ),
        ("[[node]]\ncount = 9999\n[[node]]\ncount = 9999", "wanted at most 10,000 nodes in all"),
        ("[[node]]\nhashes_per_s = 1\nhash_share = 1", "hash_share: says the same"),
        ("[[node]]\nhash_share = 3", "node[0].hash_share: found 3, wanted a share"),
        ("hashes_per_s = 5\n[[node]]\nhashes_per_s = 6", "hashes_per_s: found 5, wanted at least"),
        (
            "[[node]]\nport = 7000\n[[node]]\nport = 7000",
            "n0 and n1 can't both listen on",
        ),
        ("[[node]]\nport = 70000", "node[0].port: found 70000, wanted a whole number"),
        ("nodes = 3\naccounts = [1]", "accounts: found [1], wanted a list of names"),
        ("nodes = 3\nseed = -1", "seed: found -1, wanted a whole number"),
        ('nodes = 3\n"\\u001b[2J" = 1', "?[2J"),
    ],
)
def test_every_mistake_is_one_line_with_file_and_key_and_what_is_wanted(
    tmp_path: Path, text: str | bytes, complaint: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read_plan(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ") and complaint in told
    assert "\n" not in told and told.isprintable()


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"can't read .*: No such file or directory"):
        read_plan(tmp_path / "none.toml")
    with pytest.raises(UserError, match=r"can't read .*: Is a directory"):
        read_plan(tmp_path)
    with pytest.raises(UserError, match="larger than 4,000,000 bytes; is it the right file"):
        read_plan(written(tmp_path, b"#" * 4_000_001))


# In virtual time.


def test_the_network_is_as_planned(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, WHOLE))
    network = VirtualNetwork(plan=plan, warm_up_s=0)
    network.run_for(2)
    assert [(node.name, node.miner.hashes_per_s) for node in network] == [
        (node.name, node.hashes_per_s) for node in plan.nodes
    ]
    assert network.world.seed == 7
    assert network.links.link("relay0", "big") == plan.links[0].settings
    assert network.links.link("n4", "n5") == plan.link
    dialled = {
        (node.name, peer.address) for node in network for peer in connections(network, node.name)
    }
    assert dialled == {(one, network[other].address) for one, other in plan.connections}


def connections(network: VirtualNetwork, name: str) -> list[Connection[NetAddress]]:
    peers = network[name]._streams.connections()
    return [peer for peer in peers if not peer.inbound]


@pytest.mark.parametrize("kind", [VirtualNetwork, LiveNetwork])
def test_a_network_of_either_world_is_made_from_a_file(
    tmp_path: Path, kind: type[VirtualNetwork] | type[LiveNetwork]
) -> None:
    text = 'nodes = 4\ntopology = "star"\nhashes_per_s = 0\nchain = "regtest"'
    plan = read_plan(written(tmp_path, text))
    network = kind(plan=plan)
    try:
        assert network.params == REGTEST and list(network.nodes) == ["n0", "n1", "n2", "n3"]
        network.mine("n1", 3)
        network.wait_until_synced()
        assert {node.tip.height for node in network} == {3}
    finally:
        if isinstance(network, LiveNetwork):
            network.close()


def test_the_same_plan_has_the_same_trace() -> None:
    digests = set()
    for seed in (1, 1, 2):
        network = VirtualNetwork(plan=plan_from_options(4, topology_name="random:2", seed=seed))
        network.run_for(60)
        digests.add(network.world.trace.digest())
    assert len(digests) == 2
