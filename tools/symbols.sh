#!/bin/sh
# SPDX-License-Identifier: MIT
# What the objects may import and the libraries may export: tools/symbols.sh BUILD PROTO-OBJECT...
#
# - proto/ imports nothing but mem* (clang makes bcmp of memcmp), assert_fail and the shim's UTF-8
#   check, and has no variables.
# - libgyr.a and libgyr.so export gyr_* only, and do not define or bring along another malloc.
set -eu

build=$1
shift
failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

complain() {
    if [ -n "$2" ]; then
        echo "$1:" >&2
        echo "$2" | sed 's/^/    /' >&2
        failed=1
    fi
}

if [ $# -gt 0 ]; then
    # With LTO the objects hold no machine code yet; generate it for the layer alone.
    lto=
    case $(cat "$build/flags") in *-flto*) lto='-O2 -fPIC -flto=auto -flinker-output=nolto-rel' ;; esac
    "${CC:-gcc}" -r -nostdlib $lto -o "$scratch/proto.o" "$@"
    complain 'proto/ imports what it must not' "$(nm -u "$scratch/proto.o" | awk '{ print $2 }' |
        grep -vxE '_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|mem[a-z]+|bcmp|assert_fail|simdjson_shim_utf8_is_valid|__(asan|ubsan|tsan|gcov|sanitizer)_.*' || true)"
    complain 'proto/ has variables' "$(objdump -t "$scratch/proto.o" |
        awk 'NF > 3 && $(NF - 2) ~ /^\.(data|bss|tdata|tbss)$/ && $NF !~ /^(\.|__gcov|\*|\.L)/ && / O / { print $NF }')"
fi

exported=$(nm -g --defined-only "$build/libgyr.a" | awk 'NF == 3 { print $3 }')
complain 'libgyr.a exports more than gyr_*' "$(echo "$exported" | grep -v '^gyr_' || true)"
exported=$(nm -D --defined-only "$build/libgyr.so" | awk '{ print $3 }')
complain 'libgyr.so exports more than gyr_*' "$(echo "$exported" | grep -v '^gyr_' || true)"
complain 'libgyr.so brings along another malloc' "$(objdump -p "$build/libgyr.so" |
    awk '/NEEDED/ && /mimalloc|jemalloc|tcmalloc/ { print $2 }')"
complain 'libgyr.so has another soname' "$(objdump -p "$build/libgyr.so" |
    awk '/SONAME/ && $2 != "libgyr.so.0" { print $2 }')"

exit $failed
