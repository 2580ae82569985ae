"""Bitcoin Script: what an input must show to spend a coin, and how that is checked.

`verify.py` is where a transaction's scripts are verified, `interpreter.py` is the machine,
`ops/` has the opcodes, `witness.py` and `taproot.py` the spending rules that live outside scripts
(BIP141, BIP341), `sighash.py` what signatures sign.
"""
