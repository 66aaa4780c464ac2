// Compiles tapestore.ksy and runs it over every golden store and the vectors; broken files have to fail. See README.md.
//
//     node check.js MODULES [STORE...]      MODULES: a directory with the packages of package-lock.json

'use strict';

const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');

const SPEC = path.dirname(__dirname);
const modules = createRequire(path.join(path.resolve(process.argv[2]), 'package.json'));
const compiler = modules('kaitai-struct-compiler');
const KaitaiStream = modules('kaitai-struct/KaitaiStream');
const YAML = modules('yaml');

/** The parser, compiled anew. */
async function compiled() {
  const text = fs.readFileSync(path.join(SPEC, 'tapestore.ksy'), 'utf8');
  const files = await compiler.compile('javascript', YAML.parse(text), { importYaml() { throw new Error('nothing is imported'); } }, false);
  const module = { exports: {} };
  const load = (name) => (name === 'kaitai-struct/KaitaiStream' ? KaitaiStream : modules(name));
  new Function('require', 'module', 'exports', files['Tapestore.js'])(load, module, module.exports);
  return module.exports.Tapestore || module.exports;
}

/** Every field and every instance, however deep: what is not asked for is not parsed. Returns how many structures there are. */
function visit(value, seen) {
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value) || seen.has(value)) {
    return 0;
  }
  if (Array.isArray(value)) {
    return value.reduce((count, item) => count + visit(item, seen), 0);
  }
  seen.add(value);
  let count = 1;
  const names = new Set(Object.keys(value));
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(value)))) {
    if (property.get) {
      names.add(name);
    }
  }
  for (const name of names) {
    if (name !== '_io' && name !== '_parent' && name !== '_root' && !name.startsWith('_m_')) {
      count += visit(value[name], seen);
    }
  }
  return count;
}

/** Parses bytes as one of the types; gives the number of structures. */
function parse(type, bytes, ...parameters) {
  const root = new type(new KaitaiStream(new Uint8Array(bytes).buffer), null, null, ...parameters);
  return visit(root, new Set());
}

/** Why the bytes do not parse; null if they do. */
function refusal(type, bytes, ...parameters) {
  try {
    parse(type, bytes, ...parameters);
    return null;
  } catch (error) {
    return String(error.message || error).split('\n')[0];
  }
}

class Score {
  constructor() {
    this.passed = 0;
    this.failed = 0;
  }

  check(name, problem) {
    if (problem) {
      this.failed += 1;
      console.log(`FAILED ${name}: ${problem}`);
    } else {
      this.passed += 1;
    }
  }
}

module.exports = { SPEC, Score, compiled, parse, refusal, visit };

if (require.main === module) {
  const { golden, broken, sound } = require('./golden.js');
  const { vectors } = require('./vectors.js');
  compiled().then((Tapestore) => {
    const score = new Score();
    const stores = process.argv.slice(3);
    stores.forEach((store) => sound(Tapestore, score, store));
    if (stores.length === 0) {
      golden(Tapestore, score);
      broken(Tapestore, score);
      vectors(Tapestore, score);
    }
    console.log(`kaitai: ${score.passed} passed, ${score.failed} failed`);
    process.exit(score.failed || !score.passed ? 1 : 0);
  }, (error) => {
    console.log(`tapestore.ksy does not compile: ${error.message || error}`);
    process.exit(1);
  });
}
