"""Real blocks of the main chain, as everybody can look them up: bytes whose hashes prove them."""

from drystone.consensus.coins import Coin
from drystone.primitives.amount import COIN
from drystone.primitives.block import Block
from drystone.primitives.hashes import Txid, from_display
from drystone.primitives.transaction import OutPoint, TxOut

# Block 1: the first that anybody mined on another's.
BLOCK_1 = Block.from_bytes(
    bytes.fromhex(
        "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744"
        "bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e362990101000000010000"
        "000000000000000000000000000000000000000000000000000000000000ffffffff0704ffff001d0104ffff"
        "ffff0100f2052a0100000043410496b538e853519c726a2c91e61ec11600ae1390813a627c66fb8be7947be6"
        "3c52da7589379515d4e0a604f8141781e62294721166bf621e73a82cbf2342c858eeac00000000"
    )
)

# Block 170: the first payment, of 12 January 2009, from Satoshi Nakamoto to Hal Finney. It spends
# the coinbase of block 9.
BLOCK_170 = Block.from_bytes(
    bytes.fromhex(
        "0100000055bd840a78798ad0da853f68974f3d183e2bd1db6a842c1feecf222a00000000ff104ccb05421ab9"
        "3e63f8c3ce5c2c2e9dbb37de2764b3a3175c8166562cac7d51b96a49ffff001d283e9e700201000000010000"
        "000000000000000000000000000000000000000000000000000000000000ffffffff0704ffff001d0102ffff"
        "ffff0100f2052a01000000434104d46c4968bde02899d2aa0963367c7a6ce34eec332b32e42e5f3407e052d6"
        "4ac625da6f0718e7b302140434bd725706957c092db53805b821a85b23a7ac61725bac000000000100000001"
        "c997a5e56e104102fa209c6a852dd90660a20b2d9c352423edce25857fcd3704000000004847304402204e45"
        "e16932b8af514961a1d3a1a25fdf3f4f7732e9d624c6c61548ab5fb8cd410220181522ec8eca07de4860a4ac"
        "dd12909d831cc56cbbac4622082221a8768d1d0901ffffffff0200ca9a3b00000000434104ae1a62fe09c5f5"
        "1b13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a06"
        "26f1baded5c72a704f7e6cd84cac00286bee0000000043410411db93e1dcdb8a016b49840f8c53bc1eb68a38"
        "2e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412"
        "a3ac00000000"
    )
)
COIN_9 = (
    OutPoint(
        Txid(from_display("0437cd7f8525ceed2324359c2d0ba26006d92d856a9c20fa0241106ee5a597c9")), 0
    ),
    Coin(TxOut(50 * COIN, BLOCK_170.vtx[1].vout[1].script_pubkey), height=9, is_coinbase=True),
)
