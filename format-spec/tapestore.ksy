meta:
  id: tapestore
  title: Files of a Tapestore store
  file-extension: tape
  endian: le
  encoding: UTF-8
doc: |
  The structures of the chapters beside this file, for any file of a store: CURRENT, manifests, logs, segments. Records of several frames
  and sealed bytes of several pages are shown in their pieces; checksums, and what spans files, are for readers to check. A log with a
  torn end, or a manifest with bytes behind the length in CURRENT, is to be cut there first.
seq:
  - id: body
    type:
      switch-on: magic
      cases:
        0x45504154: current
        0x50415493: file
instances:
  magic:
    pos: 0
    type: u4
types:
  current:
    seq:
      - id: magic
        contents: TAPECURR
      - id: format
        type: u4
        valid: 1
      - id: store
        size: 16
      - id: manifest
        type: u8
      - id: length
        type: u8
        valid:
          min: 64
      - id: step
        type: u8
      - id: created
        type: s8
      - id: crc
        type: u4
  file:
    seq:
      - id: header
        type: header
      - id: frames
        type: frame(header.kind)
        repeat: eos
        if: header.kind != kind::segment
    instances:
      segment:
        io: _root._io
        pos: 64
        type: segment
        if: header.kind == kind::segment
  header:
    doc: segment.md, rules H
    seq:
      - id: magic
        contents: [0x93, 0x54, 0x41, 0x50, 0x45, 0x0d, 0x0a, 0x1a]
      - id: kind
        type: u1
        enum: kind
        valid:
          in-enum: true
      - id: major
        type: u1
        valid: 1
      - id: minor
        type: u1
      - id: zero
        contents: [0]
      - id: required_features
        contents: [0, 0, 0, 0]
      - id: store
        size: 16
      - id: file_id
        type: u8
      - id: numbers
        size: 16
      - id: optional_features
        type: u4
      - id: crc
        type: u4
  frame:
    doc: log.md
    params:
      - id: file_kind
        type: u1
        enum: kind
    seq:
      - id: crc
        type: u4
      - id: len_payload
        type: u2
        valid:
          min: 1
          max: 8168
      - id: kind
        type: u1
        valid:
          min: 1
      - id: flags
        type: u1
        valid:
          max: 3
      - id: sequence
        type: u8
      - id: durable
        type: u8
      - id: payload
        size: len_payload
        type:
          switch-on: 'flags != 3 ? 0 : (file_kind == kind::manifest ? 256 + kind : kind)'
          cases:
            1: log_start
            2: transaction
            257: state
            258: source
            259: series
            260: add_segment
            261: remove_segment
            262: snapshot
            263: drop_snapshot
      - id: padding
        size: (8 - len_payload % 8) % 8
  state:
    seq:
      - id: sealed_version
        type: u8
      - id: first_log
        type: u8
      - id: next_file
        type: u8
      - id: floor
        type: u8
      - id: step
        type: u8
  source:
    seq:
      - id: id
        type: u2
      - id: name
        type: string
  series:
    seq:
      - id: id
        type: u4
      - id: instrument
        type: string
      - id: frame
        type: string
      - id: num_definitions
        type: varint
      - id: definitions
        type: definition
        repeat: expr
        repeat-expr: num_definitions.value
  definition:
    seq:
      - id: version
        type: u8
      - id: present
        type: u1
        valid:
          max: 1
      - id: schema
        type: schema
        if: present == 1
  schema:
    seq:
      - id: key
        type: u1
        valid:
          any-of: [1, 2]
      - id: num_dedup
        type: u1
        valid:
          max: 8
        if: key == 2
      - id: dedup
        type: u2
        repeat: expr
        repeat-expr: 'key == 2 ? num_dedup : 0'
      - id: num_columns
        type: u2
        valid:
          max: 1024
      - id: columns
        type: column
        repeat: expr
        repeat-expr: num_columns
  column:
    seq:
      - id: id
        type: u2
      - id: type
        type: u1
        enum: type
        valid:
          in-enum: true
      - id: nullable
        type: u1
        valid:
          max: 1
      - id: name
        type: string
      - id: description
        type: string
  add_segment:
    seq:
      - id: id
        type: u8
      - id: length
        type: u8
      - id: hash_low
        type: u8
      - id: hash_high
        type: u8
      - id: level
        type: u1
      - id: num_parts
        type: varint
      - id: parts
        type: listed_part
        repeat: expr
        repeat-expr: num_parts.value
  listed_part:
    seq:
      - id: series
        type: varint
      - id: part
        type: varint
      - id: rows
        type: varint
      - id: first_time
        type: s8
      - id: last_time
        type: s8
      - id: history_rows
        type: varint
      - id: history_first_time
        type: s8
        if: history_rows.value > 0
      - id: history_last_time
        type: s8
        if: history_rows.value > 0
      - id: version_low
        type: varint
      - id: version_high
        type: varint
      - id: marks
        type: varint
      - id: bytes
        type: varint
  remove_segment:
    seq:
      - id: id
        type: u8
  snapshot:
    seq:
      - id: name
        type: string
      - id: version
        type: u8
      - id: created
        type: s8
  drop_snapshot:
    seq:
      - id: name
        type: string
  log_start:
    seq:
      - id: previous_log
        type: u8
      - id: previous_end
        type: u8
      - id: version
        type: u8
  transaction:
    doc: wal.md
    seq:
      - id: version
        type: u8
      - id: time
        type: s8
      - id: kind
        type: u1
        valid:
          any-of: [1, 2]
      - id: message
        type: string
      - id: added
        type: varint
      - id: updated
        type: varint
      - id: deleted
        type: varint
      - id: num_effects
        type: varint
      - id: effects
        type: effect
        repeat: expr
        repeat-expr: num_effects.value
  effect:
    seq:
      - id: id
        type: u1
        valid:
          min: 1
          max: 5
      - id: body
        type:
          switch-on: id
          cases:
            1: source
            2: define
            3: drop
            4: rows
            5: mark
  define:
    seq:
      - id: series
        type: u4
      - id: instrument
        type: string
      - id: frame
        type: string
      - id: schema
        type: schema
  drop:
    seq:
      - id: series
        type: u4
  mark:
    seq:
      - id: series
        type: u4
      - id: kind
        type: u1
        enum: mark_kind
        valid:
          in-enum: true
      - id: start
        type: s8
      - id: end
        type: s8
  rows:
    seq:
      - id: series
        type: u4
      - id: count
        type: u4
      - id: times
        type: s8
        repeat: expr
        repeat-expr: count
      - id: sources
        type: runs
      - id: flags
        type: runs
      - id: num_columns
        type: u2
      - id: columns
        type: values(count)
        repeat: expr
        repeat-expr: num_columns
  runs:
    seq:
      - id: count
        type: varint
      - id: runs
        type: run
        repeat: expr
        repeat-expr: count.value
  run:
    seq:
      - id: length
        type: varint
      - id: value
        type: u2
  values:
    params:
      - id: count
        type: u4
    seq:
      - id: id
        type: u2
      - id: has_nulls
        type: u1
        valid:
          max: 1
      - id: nulls
        size: count
        if: has_nulls == 1
      - id: physical
        type: u1
        valid:
          min: 1
          max: 5
      - id: values
        type:
          switch-on: physical
          cases:
            1: s8
            2: f8
            3: f4
            4: u1
            5: text
        repeat: expr
        repeat-expr: count
  text:
    seq:
      - id: length
        type: varint
      - id: value
        type: str
        size: length.value
  segment:
    doc: segment.md
    instances:
      footer:
        io: _root._io
        pos: _root._io.size - 64
        type: footer
      parts:
        io: _root._io
        pos: footer.table
        type: part
        repeat: expr
        repeat-expr: footer.num_parts
  footer:
    seq:
      - id: magic
        contents: TAPE-END
      - id: table
        type: u8
      - id: length
        type: u8
      - id: num_parts
        type: u4
      - id: zero
        size: 28
      - id: more_zero
        contents: [0, 0, 0, 0]
      - id: crc
        type: u4
  part:
    seq:
      - id: series
        type: u4
      - id: zero
        contents: [0, 0, 0, 0]
      - id: start
        type: u8
      - id: position_of_index
        type: u8
      - id: zeros
        contents: [0, 0, 0, 0]
      - id: crc
        type: u4
    instances:
      index:
        io: _root._io
        pos: position_of_index
        type: index(start)
  index:
    doc: The content of an index of one page; of longer ones only magic and length.
    params:
      - id: start
        type: u8
    seq:
      - id: magic
        contents: TIDX
      - id: length
        type: u4
        valid:
          min: 8
      - id: content
        size: length - 8
        type: index_content(start)
        if: length <= 8188
      - id: crc
        type: u4
        if: length <= 8188
  index_content:
    params:
      - id: start
        type: u8
    seq:
      - id: series
        type: varint
      - id: bits
        type: u1
        valid:
          max: 7
      - id: timeframe
        type: u1
        valid:
          min: 1
          max: 17
        if: (bits & 2) != 0
      - id: num_columns
        type: varint
      - id: columns
        type: index_column
        repeat: expr
        repeat-expr: num_columns.value
      - id: ohlc
        type: varint
        repeat: expr
        repeat-expr: '(bits & 4) != 0 ? 4 : 0'
      - id: version_low
        type: varint
      - id: version_span
        type: varint
      - id: grid_rows
        type: varint
      - id: num_live
        type: varint
      - id: live
        type: chunk(start)
        repeat: expr
        repeat-expr: num_live.value
      - id: num_history
        type: varint
      - id: history
        type: chunk(start)
        repeat: expr
        repeat-expr: num_history.value
      - id: num_marks
        type: varint
      - id: marks
        type: index_mark
        repeat: expr
        repeat-expr: num_marks.value
      - id: num_runs
        type: varint
      - id: runs
        type: run_block
        repeat: expr
        repeat-expr: num_runs.value
  index_column:
    seq:
      - id: id
        type: varint
      - id: type
        type: u1
        enum: type
        valid:
          in-enum: true
  index_mark:
    seq:
      - id: kind
        type: u1
        enum: mark_kind
        valid:
          in-enum: true
      - id: start
        type: varint
      - id: length
        type: varint
      - id: version
        type: varint
  run_block:
    seq:
      - id: first_slot
        type: varint
      - id: runs
        type: varint
      - id: covered
        type: varint
      - id: bytes
        type: varint
      - id: crc
        type: u4
  chunk:
    params:
      - id: start
        type: u8
    seq:
      - id: position
        type: varint
      - id: rows
        type: varint
      - id: first_time
        type: varint
      - id: time_span
        type: varint
    instances:
      head:
        io: _root._io
        pos: start + 64 * position.value
        type: chunk_head
  chunk_head:
    doc: The fields before the entries of columns, if the head is one page.
    seq:
      - id: magic
        contents: TCHK
      - id: length
        type: u4
        valid:
          min: 8
      - id: content
        size: length - 8
        type: chunk_content
        if: length <= 8188
      - id: crc
        type: u4
        if: length <= 8188
  chunk_content:
    seq:
      - id: series
        type: varint
      - id: stream
        type: u1
        valid:
          max: 1
      - id: number
        type: varint
      - id: first_row
        type: varint
      - id: rows
        type: varint
      - id: first_time
        type: varint
      - id: time_span
        type: varint
      - id: num_entries
        type: varint
      - id: entries
        size-eos: true
  string:
    seq:
      - id: length
        type: u2
      - id: value
        type: str
        size: length
  varint:
    doc: Unsigned LEB128; fields that chapters call svarint hold the zigzag form.
    seq:
      - id: bytes
        type: u1
        repeat: until
        repeat-until: (_ & 128) == 0
    instances:
      num_bytes:
        value: bytes.size
      value:
        value: >-
          (bytes[0] & 127)
          + (num_bytes > 1 ? (bytes[1] & 127) * 128 : 0)
          + (num_bytes > 2 ? (bytes[2] & 127) * 16384 : 0)
          + (num_bytes > 3 ? (bytes[3] & 127) * 2097152 : 0)
          + (num_bytes > 4 ? (bytes[4] & 127) * 268435456 : 0)
          + (num_bytes > 5 ? (bytes[5] & 127) * 34359738368 : 0)
          + (num_bytes > 6 ? (bytes[6] & 127) * 4398046511104 : 0)
          + (num_bytes > 7 ? (bytes[7] & 127) * 562949953421312 : 0)
          + (num_bytes > 8 ? (bytes[8] & 127) * 72057594037927936 : 0)
enums:
  kind:
    1: segment
    2: log
    3: manifest
  type:
    1: i64
    2: f64
    3: f32
    4: u8
    5: bool
    6: string
    7: timestamp
  mark_kind:
    1: delete
    2: absent
    3: expected
