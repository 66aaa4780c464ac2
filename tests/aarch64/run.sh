#!/usr/bin/env bash
# Tests for aarch64: as they are on such a machine; elsewhere built by a cross compiler and run by qemu. Nothing here is
# part of the short form of the suite.
#
#   run.sh            the format with its loops in NEON beside their scalar twins, the storage on real files, golden
#                     stores and test vectors
#   run.sh loops      the decoding loops alone
#   run.sh count      instructions per value of every decoding loop: qemu counts them, cycles it has none
#
# LINKER, QEMU and ROOT name other tools than Debian's: a C compiler, an emulator, and where the libraries of the target are.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=aarch64-unknown-linux-gnu
linker=${LINKER:-aarch64-linux-gnu-gcc}
qemu=${QEMU:-qemu-aarch64}
root=${ROOT:-/usr/aarch64-linux-gnu}
machine=$(uname -m)

lacking=0
# lack WHAT HOW: something is missing, and how to get it.
lack() {
    printf 'missing: %s\n    %s\n' "$1" "$2" >&2
    lacking=1
}

# need_emulator: unless there is one.
need_emulator() {
    command -v "$qemu" >/dev/null ||
        lack "the emulator $qemu" 'apt install qemu-user, or QEMU=... names another'
    [ -e "$root/lib/ld-linux-aarch64.so.1" ] ||
        lack "libraries of the target below $root" 'apt install libc6-dev-arm64-cross, or ROOT=... names another place'
}

# need_compilers: unless this is the machine.
need_compilers() {
    compgen -G "$(rustc --print target-libdir --target "$target")/libstd-*.rlib" >/dev/null ||
        lack "Rust's standard library for $target" \
            "rustup target add $target, or, with Debian's rustc, dpkg --add-architecture arm64 and apt install libstd-rust-dev:arm64"
    [ "$machine" = aarch64 ] || command -v "$linker" >/dev/null ||
        lack "the C compiler $linker" 'apt install gcc-aarch64-linux-gnu, or LINKER=... names another'
}

what=${1:-all}
case $what in
all | loops | count) ;;
*)
    sed -n '2,10p' "$0"
    exit 2
    ;;
esac
need_compilers
if [ "$machine" != aarch64 ] || [ "$what" = count ]; then
    need_emulator
fi
[ $lacking = 0 ] || exit 1
if [ "$machine" != aarch64 ]; then
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$linker CC_aarch64_unknown_linux_gnu=$linker
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$qemu -L $root"
    # An emulator is slow enough.
    export CARGO_PROFILE_DEV_OPT_LEVEL=1
fi

# tests NAME ARGUMENTS...: those that `cargo test` is told of.
tests() {
    local name=$1 output status=0 count
    shift
    output=$(cargo test --locked --no-fail-fast --target "$target" "$@" 2>&1) || status=$?
    count=$(awk '/^test result: /{ p += $4; f += $6 } END { print p + 0, f + 0 }' <<<"$output")
    # A filter that names nothing would pass.
    if [ $status != 0 ] || [ "${count%% *}" = 0 ]; then
        printf '%s\n' "$output"
        status=1
    fi
    printf 'aarch64: %s | %s tests | failures %s\n' "$name" "${count%% *}" "${count##* }"
    return $status
}

# count: the example of the loops marks where one call begins, and where two; each instruction is a line of the log.
count() {
    local directory program
    directory=$(mktemp -d)
    trap 'rm -rf "$directory"' RETURN
    program=$(cargo build --locked --release --target "$target" --package tapestore-format --example kernels \
        --message-format=json | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
    "$qemu" -L "$root" -one-insn-per-tb -d exec,nochain,strace -D /dev/fd/3 "$program" marks \
        3>&1 >"$directory/table" |
        awk '/^Trace/ { n++; next }
             /sched_yield/ { if (++marks % 3 == 2) one = n; if (marks % 3 == 0) print n - one; n = 0 }' \
            >"$directory/counts"
    awk 'NR == FNR { count[NR] = $1; next }
         { while (/ # /) sub(/ # /, sprintf(" %.2f ", count[++at] / 1024)); print }' \
        "$directory/counts" "$directory/table"
}

status=0
case $what in
all)
    tests format --package tapestore-format || status=1
    tests storage --package tapestore || status=1
    tests 'golden stores and vectors' --package golden || status=1
    ;;
loops)
    tests loops --package tapestore-format --lib kernel || status=1
    ;;
count)
    count
    ;;
esac
exit $status
