meta:
  id: tapestore
  title: Files of a Tapestore store
  file-extension: tape
  endian: le
  encoding: UTF-8
doc: |
  The structures of the chapters beside this file, for any file of a store: CURRENT, manifests, logs, segments. What can be said here of
  what is valid is said here: magics, ids, limits, reserved bytes, lengths, and that nothing is left over. Records of several frames and
  sealed bytes of several pages are shown in their pieces; checksums, the numbers inside blocks, and what spans structures are for readers
  to check. A log with a torn end, or a manifest with bytes behind the length in CURRENT, is to be cut there first.
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
    valid:
      any-of: [0x45504154, 0x50415493]
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
      - id: nothing_behind
        type: nothing
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
        type: u4
        valid:
          expr: '_ == 0 or ((_ & 0xffffff84) == 0 and kind == kind::segment)'
      - id: store
        size: 16
      - id: file_id
        type: u8
      - id: no_numbers
        contents: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        if: kind == kind::segment
      - id: numbers
        size: 16
        if: kind != kind::segment
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
          expr: _ >= 1 and (file_kind != kind::manifest or _ <= 7) and (file_kind != kind::log or _ <= 2)
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
          switch-on: 'flags != 3 ? 0 : (file_kind == kind::manifest ? 256 + kind : (file_kind == kind::log ? 512 + kind : 0))'
          cases:
            513: log_start
            514: transaction
            257: state
            258: source_record
            259: series
            260: add_segment
            261: remove_segment
            262: snapshot
            263: drop_snapshot
      - id: padding
        size: (8 - len_payload % 8) % 8
  frames:
    doc: Frames of any log, their records not looked at.
    seq:
      - id: frames
        type: frame(kind::segment)
        repeat: eos
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
      - id: nothing_behind
        type: nothing
  source:
    seq:
      - id: id
        type: u2
      - id: name
        type: string(0, 512)
  source_record:
    seq:
      - id: source
        type: source
      - id: nothing_behind
        type: nothing
  series:
    seq:
      - id: id
        type: u4
      - id: instrument
        type: string(1, 128)
      - id: frame
        type: string(1, 64)
      - id: num_definitions
        type: varint
      - id: definitions
        type: definition
        repeat: expr
        repeat-expr: num_definitions.value
      - id: nothing_behind
        type: nothing
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
  whole_schema:
    seq:
      - id: schema
        type: schema
      - id: nothing_behind
        type: nothing
  column:
    seq:
      - id: id
        type: u2
        valid:
          max: 65534
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
        type: string(1, 64)
        valid:
          expr: _.value != "time" and _.value != "source" and _.value != "flags" and _.value != "version"
      - id: description
        type: string(0, 512)
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
      - id: nothing_behind
        type: nothing
  listed_part:
    seq:
      - id: series
        type: varint
        valid:
          expr: _.value < 4294967296
      - id: part
        type: varint
        valid:
          expr: _.value < 4294967296
      - id: rows
        type: varint
      - id: first_time
        type: s8
      - id: last_time
        type: s8
        valid:
          expr: 'rows.value == 0 ? _ == -1 and first_time == 0 : _ >= first_time'
      - id: history_rows
        type: varint
      - id: history_first_time
        type: s8
        if: history_rows.value > 0
      - id: history_last_time
        type: s8
        valid:
          expr: _ >= history_first_time
        if: history_rows.value > 0
      - id: version_low
        type: varint
      - id: version_high
        type: varint
        valid:
          expr: _.value >= version_low.value
      - id: marks
        type: varint
        valid:
          expr: _.value < 4294967296
      - id: bytes
        type: varint
  remove_segment:
    seq:
      - id: id
        type: u8
      - id: nothing_behind
        type: nothing
  snapshot:
    seq:
      - id: name
        type: string(0, 512)
      - id: version
        type: u8
      - id: created
        type: s8
      - id: nothing_behind
        type: nothing
  drop_snapshot:
    seq:
      - id: name
        type: string(0, 512)
      - id: nothing_behind
        type: nothing
  log_start:
    seq:
      - id: previous_log
        type: u8
      - id: previous_end
        type: u8
      - id: version
        type: u8
      - id: nothing_behind
        type: nothing
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
        type: string(0, 512)
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
      - id: nothing_behind
        type: nothing
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
        type: string(1, 128)
      - id: frame
        type: string(1, 64)
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
        valid:
          expr: _ >= start
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
        valid:
          max: 1025
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
        valid:
          expr: _.value >= 1
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
        valid:
          expr: _.value <= 4096
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
        valid:
          expr: _ >= 64 and _ % 64 == 0
      - id: length
        type: u8
        valid:
          expr: _ == _root._io.size
      - id: num_parts
        type: u4
        valid:
          expr: length - 64 - table >= 32 * _ and length - 64 - table - 32 * _ < 64
      - id: zero
        contents: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
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
        valid:
          expr: _ >= 64 and _ % 64 == 0
      - id: position_of_index
        type: u8
        valid:
          expr: _ >= start and _ < _root._io.size
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
          expr: _ >= 8 and _ <= _root._io.size
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
        valid:
          expr: _.value <= 4096
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
        valid:
          expr: _.value == 0 or (bits & 1) != 0
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
        valid:
          expr: _.value == 0 or (bits & 2) != 0
      - id: runs
        type: run_block
        repeat: expr
        repeat-expr: num_runs.value
      - id: nothing_behind
        type: nothing
  index_column:
    seq:
      - id: id
        type: varint
        valid:
          expr: _.value <= 65535
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
        valid:
          expr: _.value >= 1
      - id: version
        type: varint
  run_block:
    seq:
      - id: first_slot
        type: varint
      - id: runs
        type: varint
        valid:
          expr: _.value >= 1 and _.value <= 1024
      - id: covered
        type: varint
        valid:
          expr: _.value >= runs.value
      - id: bytes
        type: varint
        valid:
          expr: _.value <= 8192
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
        valid:
          expr: _.value >= 1 and _.value <= 65536
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
    doc: The content of a head of one page; of longer ones only magic and length.
    seq:
      - id: magic
        contents: TCHK
      - id: length
        type: u4
        valid:
          expr: _ >= 8 and _ <= _root._io.size
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
        valid:
          expr: _.value <= 4101
      - id: entries
        type: entry(rows.value)
        repeat: expr
        repeat-expr: num_entries.value
      - id: nothing_behind
        type: nothing
  entry:
    doc: A column of a chunk. Its bytes follow the head.
    params:
      - id: rows
        type: u4
    seq:
      - id: code
        type: varint
        valid:
          expr: _.value <= 4 or (_.value >= 8 and _.value <= 65543)
      - id: type
        type: u1
        enum: type
        valid:
          in-enum: true
      - id: encoding
        type: u1
        enum: encoding
        valid:
          in-enum: true
      - id: flags
        type: u1
        valid:
          expr: >-
            fits
            and ((_ & 1) == 0 or (code.value >= 8 and encoding.to_i > 2 and encoding != encoding::group))
            and ((_ & 2) == 0 or encoding == encoding::decimal or encoding == encoding::group)
            and ((_ & 4) == 0 or (encoding.to_i > 1 and encoding.to_i < 7))
            and ((_ & 8) == 0 or encoding.to_i > 2)
            and ((_ & 16) == 0 or is_float)
            and ((_ & 32) == 0 or (encoding.to_i > 2 and encoding.to_i < 8 and (features & 1) != 0 and (encoding.to_i < 7 or (features & 16) != 0)))
            and ((_ & 64) == 0 or ((encoding == encoding::decimal or encoding == encoding::group) and type == type::f64 and (features & 8) != 0))
            and ((_ & 128) == 0 or (encoding == encoding::group and (features & ((_ & 64) == 0 ? 32 : 64)) != 0))
      - id: parameters
        type:
          switch-on: encoding
          cases:
            encoding::constant: constant(type)
            encoding::decimal: scale
            encoding::group: group(flags)
            encoding::split: split(type)
            encoding::dictionary: dictionary
      - id: len_model
        type: varint
        valid:
          expr: '_.value >= 1 and _.value <= ((features & 16) != 0 ? 65536 : 15363)'
        if: (flags & 32) != 0
      - id: len_zones
        type: varint
        if: (flags & 4) != 0
      - id: zones
        size: len_zones.value
        if: (flags & 4) != 0
      - id: lengths
        type:
          switch-on: flags & 8
          cases:
            0: u2
            8: u4
        repeat: expr
        repeat-expr: 'encoding.to_i > 2 ? num_blocks : 0'
      - id: units
        doc: A checksum for each 8192 bytes of each block.
        type: 'units(encoding.to_i > 2 ? lengths[_index] : bytes_per_row * (_index < num_blocks - 1 ? 1024 : rows - 1024 * _index))'
        repeat: expr
        repeat-expr: 'encoding.to_i > 1 ? num_blocks : 0'
    instances:
      features:
        value: _root.body.as<file>.header.required_features
      is_float:
        value: type == type::f64 or type == type::f32
      fits:
        value: >-
          encoding == encoding::null_everywhere ? code.value >= 8
          : encoding == encoding::constant ? true
          : encoding.to_i > 6 ? type == type::string
          : encoding.to_i < 4 ? type != type::string
          : encoding == encoding::group ? type == type::f64 : is_float
      num_blocks:
        value: (rows + 1023) / 1024
      bytes_per_row:
        value: 'type == type::u8 or type == type::bool ? 1 : type == type::f32 ? 4 : 8'
  units:
    params:
      - id: num_bytes
        type: u4
    seq:
      - id: crcs
        type: u4
        repeat: expr
        repeat-expr: (num_bytes + 8191) / 8192
  constant:
    params:
      - id: type
        type: u1
        enum: type
    seq:
      - id: value
        type:
          switch-on: type
          cases:
            type::i64: varint
            type::f64: u8
            type::f32: u4
            type::u8: u1
            type::bool: bool
            type::string: string(0, 4096)
            type::timestamp: varint
  bool:
    seq:
      - id: value
        type: u1
        valid:
          max: 1
  scale:
    seq:
      - id: exponent
        type: u1
        valid:
          max: 22
      - id: divisor
        type: varint
        valid:
          expr: _.value >= 1 and (_.num_bytes < 10 or (_.bytes[9] & 1) == 0)
  group:
    params:
      - id: flags
        type: u1
    seq:
      - id: role
        type: u1
        enum: role
        valid:
          in-enum: true
      - id: scale
        type: scale
      - id: places
        doc: Further decimal places, behind those of the scale. Adjusted singles, which have flag 64 as well, have none.
        type: u1
        valid:
          expr: _ >= 1 and _ <= 18 and _ + scale.exponent <= 22
        if: (flags & 192) == 128
  split:
    params:
      - id: type
        type: u1
        enum: type
    seq:
      - id: cut
        type: u1
        valid:
          expr: '_ >= 1 and _ <= (type == type::f32 ? 31 : 63)'
  dictionary:
    seq:
      - id: distinct
        type: varint
        valid:
          expr: _.value >= 1
      - id: len_heap
        type: varint
        valid:
          expr: _.value >= distinct.value and _.value <= 69634
  nothing:
    doc: Where a structure ends, the bytes that hold it end.
    seq:
      - id: bytes
        size-eos: true
        valid:
          expr: _.length == 0
  string:
    params:
      - id: least
        type: u2
      - id: most
        type: u2
    seq:
      - id: length
        type: u2
        valid:
          min: least
          max: most
      - id: value
        type: str
        size: length
  varint:
    doc: Unsigned LEB128; fields that chapters call svarint hold the zigzag form.
    seq:
      - id: bytes
        type: u1
        valid:
          expr: _index < 9 or _ <= 1
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
          + (num_bytes > 9 ? (bytes[9] & 127) * 4611686018427387904 * 2 : 0)
enums:
  encoding:
    0: null_everywhere
    1: constant
    2: raw
    3: integers
    4: decimal
    5: group
    6: split
    7: dictionary
    8: text
  role:
    0: close
    1: open
    2: high
    3: low
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
