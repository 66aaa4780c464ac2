// The golden stores: whole files parse, broken ones do not.

'use strict';

const fs = require('fs');
const path = require('path');
const { SPEC, refusal } = require('./check.js');

// Files of golden stores that are no whole files of the format, in form. Damage that only checksums tell is not seen here.
const REFUSED = new Map([
  ['damaged-log/wal-000000000003.tape', 'a flipped bit in a count'],
  ['leftovers/manifest-000000000002.tape', 'bytes behind the length in CURRENT'],
  ['leftovers/manifest-000000009999.tape', 'no file of the format'],
  ['leftovers/segment-000000008888.tape', 'the first bytes of a segment'],
  ['leftovers/wal-000000000000.tape', 'no file of the format'],
  ['long-current/CURRENT', 'a byte too many'],
  ['newer-current/CURRENT', 'a newer format'],
  ['short-current/CURRENT', 'a byte too few'],
  ['short-segment/segment-000000000004.tape', 'a byte too few'],
  ['stillborn/wal-000000009999.tape', 'a header cut short'],
  ['stillborn-empty/wal-000000009999.tape', 'an empty file'],
  ['torn-cut/wal-000000002051.tape', 'a record cut short'],
  ['torn-zeros/wal-000000002051.tape', 'zeros at the end'],
]);

/** Every file of every golden store. */
function golden(Tapestore, score) {
  const refused = new Set();
  for (const version of fs.readdirSync(path.join(SPEC, 'golden')).filter((name) => /^v\d+$/.test(name))) {
    for (const store of fs.readdirSync(path.join(SPEC, 'golden', version)).filter((name) => name !== 'HASHES')) {
      const directory = path.join(SPEC, 'golden', version, store, 'store');
      for (const file of fs.readdirSync(directory).filter((name) => name === 'CURRENT' || name.endsWith('.tape'))) {
        const name = `${store}/${file}`;
        const found = refusal(Tapestore, fs.readFileSync(path.join(directory, file)));
        const reason = REFUSED.get(name);
        refused.add(name);
        score.check(`golden ${version}/${name}`, reason ? (found ? null : `parses, but is ${reason}`) : found);
      }
    }
  }
  for (const name of REFUSED.keys()) {
    score.check(`${name} is there`, refused.has(name) ? null : 'a golden file that has to be refused is missing');
  }
}

/** Every file of a store that is whole; of its manifest, what counts. */
function sound(Tapestore, score, store) {
  const current = fs.readFileSync(path.join(store, 'CURRENT'));
  const manifest = `manifest-${String(current.readBigUInt64LE(28)).padStart(12, '0')}.tape`;
  for (const file of fs.readdirSync(store).filter((name) => name === 'CURRENT' || name.endsWith('.tape'))) {
    const bytes = fs.readFileSync(path.join(store, file));
    const counts = file === manifest ? bytes.subarray(0, Number(current.readBigUInt64LE(36))) : bytes;
    score.check(path.join(store, file), refusal(Tapestore, counts));
  }
}

const u16 = (bytes, at, value) => bytes.writeUInt16LE(value, at);
const u32 = (bytes, at, value) => bytes.writeUInt32LE(value, at);
const u64 = (bytes, at, value) => bytes.writeBigUInt64LE(BigInt(value), at);
const set = (at, value) => (bytes) => { bytes[at] = value; };
const flip = (at) => (bytes) => { bytes[at] ^= 1; };
const shorter = (count) => (bytes) => bytes.subarray(0, bytes.length - count);
const longer = (bytes) => Buffer.concat([bytes, Buffer.from([0])]);
const eachByte = (name, from, to, change) => Array.from({ length: to - from }, (_, at) => [`${name}, byte ${from + at}`, change(from + at)]);

const HEADER = [
  ...eachByte('another magic', 0, 8, flip),
  ['kind 0', set(8, 0)], ['kind 4', set(8, 4)], ['major version 0', set(9, 0)], ['major version 2', set(9, 2)],
  ['the reserved byte', set(11, 1)],
  ...eachByte('a required feature', 12, 16, (at) => set(at, 0x80)),
  ['only a header, cut short', (bytes) => bytes.subarray(0, 63)],
  ['no bytes', (bytes) => bytes.subarray(0, 0)],
];

const CURRENT = [
  ...eachByte('another magic', 0, 8, flip),
  ['format 0', (bytes) => u32(bytes, 8, 0)], ['format 2', (bytes) => u32(bytes, 8, 2)],
  ['a length of 63', (bytes) => u64(bytes, 36, 63)],
  ['a byte too few', shorter(1)], ['a byte too many', longer],
];

const FRAMES = [
  ['a payload of no bytes', (bytes) => u16(bytes, 68, 0)], ['a payload of 8169 bytes', (bytes) => u16(bytes, 68, 8169)],
  ['a length that leaves bytes over', (bytes) => u16(bytes, 68, bytes.readUInt16LE(68) - 1)],
  ['a length beyond the record', (bytes) => u16(bytes, 68, bytes.readUInt16LE(68) + 1)],
  ['kind 0 of a record', set(70, 0)], ['an unknown kind of a record', set(70, 8)], ['an unknown flag', set(71, 7)],
  ['a byte too few', shorter(1)], ['a byte too many', longer],
];

/** Changes of a segment with one part or more: footer, table of parts, index, head of the first chunk. */
function ofSegment(bytes) {
  const footer = bytes.length - 64;
  const table = Number(bytes.readBigUInt64LE(footer + 8));
  const start = Number(bytes.readBigUInt64LE(table + 8));
  const index = Number(bytes.readBigUInt64LE(table + 16));
  return [
    ...eachByte('another magic of the footer', footer, footer + 8, flip),
    ...eachByte('reserved bytes of the footer', footer + 28, footer + 60, flip),
    ['another length in the footer', (b) => u64(b, footer + 16, b.length - 64)],
    ['a table that is not aligned', (b) => u64(b, footer + 8, table + 32)],
    ['a table within the header', (b) => u64(b, footer + 8, 0)],
    ['a table behind the end', (b) => u64(b, footer + 8, b.length + 64)],
    ['too many parts', (b) => u32(b, footer + 24, b.readUInt32LE(footer + 24) + 2)],
    ...eachByte('numbers of the header', 40, 56, flip),
    ...eachByte('reserved bytes of a part', table + 4, table + 8, flip),
    ...eachByte('more of them', table + 24, table + 28, flip),
    ['a part that is not aligned', (b) => u64(b, table + 8, start + 8)],
    ['a part behind its index', (b) => u64(b, table + 8, index + 64 - (index % 64))],
    ['an index behind the end', (b) => u64(b, table + 16, b.length)],
    ...eachByte('another magic of an index', index, index + 4, flip),
    ['an index of 7 bytes', (b) => u32(b, index + 4, 7)],
    ['an index that is longer', (b) => u32(b, index + 4, b.readUInt32LE(index + 4) + 1)],
    ['an index that is shorter', (b) => u32(b, index + 4, b.readUInt32LE(index + 4) - 1)],
    ...eachByte('another magic of a chunk', start, start + 4, flip),
    ['a head of 7 bytes', (b) => u32(b, start + 4, 7)],
    ['a head that is longer', (b) => u32(b, start + 4, b.readUInt32LE(start + 4) + 1)],
    ['a head that is shorter', (b) => u32(b, start + 4, b.readUInt32LE(start + 4) - 1)],
    ['a byte too few', shorter(1)], ['64 bytes too few', shorter(64)], ['a byte too many', longer],
  ];
}

/** Whole files, broken: each has to be refused. */
function broken(Tapestore, score) {
  const directory = path.join(SPEC, 'golden/v1/bars/store');
  for (const file of fs.readdirSync(directory).filter((name) => name === 'CURRENT' || name.endsWith('.tape'))) {
    const whole = fs.readFileSync(path.join(directory, file));
    const changes = file === 'CURRENT' ? CURRENT : [...HEADER, ...(file.startsWith('segment') ? ofSegment(whole) : FRAMES)];
    score.check(`bars/${file}, whole`, refusal(Tapestore, whole));
    for (const [what, change] of changes) {
      const copy = Buffer.from(whole);
      const changed = change(copy);
      const bytes = Buffer.isBuffer(changed) ? changed : copy;
      const found = bytes.equals(whole) ? 'nothing was changed' : refusal(Tapestore, bytes) ? null : 'parses all the same';
      score.check(`bars/${file}, ${what}`, found);
    }
  }
}

module.exports = { broken, golden, sound };
