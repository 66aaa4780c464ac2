// The vectors of structures: sound ones parse, and of the others all that a description without arithmetic can refuse.

'use strict';

const fs = require('fs');
const path = require('path');
const { SPEC, refusal } = require('./check.js');

// Rules that tapestore.ksy does not state: checksums, what spans structures or depends on context, the numbers inside blocks.
const BEYOND = new Set(['H3', 'H7', 'K1', 'K2', 'K11', 'K14', 'K15', 'K16', 'K17', 'K18', 'K19', 'K20', 'K21', 'L1', 'L3', 'L4', 'L5', 'S2', 'S5', 'S11', 'S14', 'S15', 'S24', 'S25']);

// Vectors of these rules that it refuses all the same: parameters in the head of a chunk.
const SEEN = /^segment-digits-places-[0-9]/;

// Vectors of other rules that it does not refuse, each with what it does not see.
const NOT_SEEN = new Map([
  ...['current-checksum'].map((name) => [name, 'a checksum']),
  ...['header-other-kind'].map((name) => [name, 'which kind of file is expected']),
  ...['manifest-segment-order', 'manifest-series-order', 'schema-dedup-unknown', 'schema-same-id', 'schema-same-name', 'segment-order',
    'segment-chunk-long', 'segment-columns-4097', 'segment-digits-close-group',
    'segment-digits-only-close', 'segment-digits-only-high', 'segment-digits-only-low', 'segment-digits-only-open', 'segment-digits-places-close',
    'segment-digits-places-high', 'segment-digits-places-low', 'segment-digits-places-open', 'segment-digits-scale', 'segment-digits-without-close',
    'segment-digits-without-high', 'segment-digits-without-low', 'segment-digits-without-open', 'segment-group-close', 'segment-group-missing', 'segment-group-scale', 'segment-group-twice', 'segment-grid-rows',
    'segment-grid-timed', 'segment-head-rows', 'segment-head-twice', 'segment-head-unknown', 'segment-index-span',
    'segment-index-twice', 'segment-index-versions', 'segment-mark-limit', 'segment-no-until', 'segment-ohlc', 'segment-pages',
    'segment-place-twice', 'segment-singles-close-group', 'segment-singles-digits-close', 'segment-singles-digits-high', 'segment-singles-digits-low',
    'segment-singles-digits-open', 'segment-singles-factors-close', 'segment-singles-factors-high', 'segment-singles-factors-low', 'segment-singles-factors-open',
    'segment-singles-only-close-digits', 'segment-singles-only-close-factors', 'segment-singles-only-close-plain', 'segment-singles-only-high-digits',
    'segment-singles-only-high-plain', 'segment-singles-only-low-digits', 'segment-singles-only-low-plain', 'segment-singles-only-open-digits',
    'segment-singles-only-open-plain', 'segment-singles-plain-close', 'segment-singles-plain-high', 'segment-singles-plain-low', 'segment-singles-plain-open',
    'segment-singles-scale', 'segment-singles-scale-divisor',
    'segment-until-live', 'transaction-column-twice', 'segment-no-time', 'segment-no-version', 'transaction-runs-short',
    'transaction-times'].map((name) => [name, 'what several fields add up to']),
  ...['manifest-segment-times', 'transaction-mark-empty'].map((name) => [name, 'single nanoseconds: JavaScript has doubles']),
  ...['manifest-source-utf8', 'schema-name-utf8', 'schema-name-control', 'transaction-string-utf8'].map((name) => [name, 'characters']),
  ...['segment-bool-2', 'segment-bool-raw', 'segment-flags', 'segment-lanes-bool', 'segment-source', 'segment-split-bits', 'segment-split-short',
    'segment-text-left-over', 'segment-text-length', 'segment-text-negative', 'segment-text-null-length', 'segment-text-short',
    'segment-text-utf8', 'segment-u8-256'].map((name) => [name, 'what is inside blocks, or signed']),
]);

/** The type for a structure, what it is parsed with, and whether it has to be parsed to its end. */
function parser(Tapestore, vector) {
  switch (vector.structure) {
    case 'header': return [Tapestore.Header];
    case 'current': case 'segment': return [Tapestore];
    case 'schema': return [Tapestore.WholeSchema];
    case 'start': return [Tapestore.LogStart];
    case 'transaction': return [Tapestore.Transaction];
    case 'frames': return [Tapestore.Frames];
    case 'manifest': {
      const names = [null, 'State', 'SourceRecord', 'Series', 'AddSegment', 'RemoveSegment', 'Snapshot', 'DropSnapshot'];
      return [Tapestore[names[vector.kind]]];
    }
    default: return null;
  }
}

function vectors(Tapestore, score) {
  const excused = new Set();
  for (const kind of ['valid', 'invalid']) {
    const directory = path.join(SPEC, 'vectors', kind);
    for (const file of fs.readdirSync(directory).filter((name) => name.endsWith('.json'))) {
      const name = file.slice(0, -5);
      const vector = JSON.parse(fs.readFileSync(path.join(directory, file), 'utf8'));
      const found = parser(Tapestore, vector);
      if (!found) {
        continue;
      }
      const [type, ...parameters] = found;
      const refused = type ? refusal(type, Buffer.from(vector.hex, 'hex'), ...parameters) : 'an unknown kind of record';
      if (kind === 'valid') {
        score.check(`valid ${name}`, refused);
        continue;
      }
      const excuse = BEYOND.has(vector.error.rule) && !SEEN.test(name) || NOT_SEEN.has(name);
      if (NOT_SEEN.has(name)) {
        excused.add(name);
      }
      score.check(`invalid ${name}`, refused || excuse ? null : `parses, but breaks ${vector.error.rule}`);
      if (NOT_SEEN.has(name)) {
        score.check(`${name} is not seen`, refused ? `is refused by now: ${refused}` : null);
      }
    }
  }
  for (const name of NOT_SEEN.keys()) {
    score.check(`${name} is there`, excused.has(name) ? null : 'a vector that is excused is missing');
  }
}

module.exports = { vectors };
