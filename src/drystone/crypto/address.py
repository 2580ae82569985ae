"""Addresses and exported secrets: scripts and keys as text that people can copy."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AddressPrefixes:
    """What makes text of one chain differ from that of another. Core: base58Prefixes, bech32_hrp.

    Chains may share them, as the test chains do: an address says nothing sure about its chain.
    """

    key_hash: int  # Base58Check version byte of pay-to-public-key-hash
    script_hash: int  # the same of pay-to-script-hash (BIP13)
    secret: int  # the same of an exported secret (WIF)
    segwit: str  # human-readable part of Bech32 and Bech32m (BIP173), in lower case
    extended_public: bytes  # four version bytes (BIP32)
    extended_secret: bytes
