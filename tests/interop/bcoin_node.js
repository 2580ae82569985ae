// A bcoin full node on regtest, in memory, steered by lines of JSON:  node bcoin_node.js FOLDER
//
// FOLDER is where npm has installed bcoin. The node listens on a port of its own choice.
//
//   stdin    {"id": 1, "method": "generate", "params": [5]}      a method of bcoin's own RPC, or of ours below
//   stdout   {"id": 1, "result": [...]}                          its answer; or {"id": 1, "error": "..."}
//            {"event": "tip", "hash": "...", "height": 5}        something has happened
//
// It ends when stdin does, so it cannot outlive whoever started it.

'use strict';

// Its parts in C are not built; all of them have twins in JavaScript.
process.env.NODE_BACKEND = 'js';

const path = require('path');
const readline = require('readline');

const bcoin = require(path.resolve(process.argv[2], 'node_modules', 'bcoin'));

const FEE = 10000; // satoshis

function say(line) {
  process.stdout.write(JSON.stringify(line) + '\n');
}

function reversed(hash) {
  return Buffer.from(hash, 'hex').reverse().toString('hex');
}

const node = new bcoin.FullNode({
  network: 'regtest',
  memory: true,
  workers: false,
  listen: true,
  host: '127.0.0.1',
  seeds: [],
  httpHost: '127.0.0.1',
  httpPort: 0,
  logLevel: 'none'
});

// Its options know no port that the system chooses, its socket does.
node.pool.options.port = 0;

const ring = bcoin.KeyRing.fromPrivate(Buffer.alloc(32, 7), true);
const segwitRing = bcoin.KeyRing.fromPrivate(Buffer.alloc(32, 7), true);
segwitRing.witness = true;

const methods = {
  // An output in the chain, paid to a script; the id of the transaction that does it, once it is in the mempool.
  pay: async ([txid, index, script]) => {
    const coin = await node.getCoin(reversed(txid), index);
    if (!coin)
      throw new Error('no such coin');
    const tx = new bcoin.MTX();
    tx.addCoin(coin);
    tx.addOutput(bcoin.Script.fromRaw(script, 'hex'), coin.value - FEE);
    tx.sign([ring, segwitRing]);
    await node.sendTX(tx.toTX());
    return tx.txid();
  },
  scripts: async () => ({
    p2pkh: bcoin.Script.fromAddress(ring.getAddress()).toRaw().toString('hex'),
    p2wpkh: bcoin.Script.fromAddress(segwitRing.getAddress()).toRaw().toString('hex')
  }),
  // End all connections.
  hang_up: async () => {
    for (const peer of [...node.pool.peers.map.values()])
      peer.destroy();
  }
};

async function answer(line) {
  const {id, method, params} = JSON.parse(line);
  try {
    const own = methods[method];
    say({id, result: own ? await own(params) : await node.rpc.execute({method, params})});
  } catch (error) {
    say({id, error: error.message});
  }
}

function watch() {
  const tip = (entry) => say({event: 'tip', hash: entry.rhash(), height: entry.height});
  node.chain.on('connect', tip);
  node.chain.on('reorganize', tip);
  node.on('tx', (tx) => say({event: 'tx', txid: tx.txid()}));
  node.pool.on('peer open', (peer) => say({event: 'open', peer: peer.hostname(), agent: peer.agent}));
  node.pool.on('peer close', (peer) => say({event: 'close', peer: peer.hostname()}));
  node.pool.on('ban', (peer) => say({event: 'ban', peer: peer.hostname()}));
  node.on('error', (error) => say({event: 'error', message: error.message}));
}

async function main() {
  node.miner.addAddress(ring.getAddress());
  watch();
  await node.open();
  await node.connect();
  node.startSync();
  say({event: 'ready', port: node.pool.server.address().port});
  const lines = readline.createInterface({input: process.stdin});
  lines.on('line', answer);
  lines.on('close', () => process.exit(0));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
