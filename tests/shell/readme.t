#!/bin/bash
# What README.md and doc/ name is there: make targets, files of the repository, functions, verbs. And every row of a
# table has as many cells as its head.
cd "$(dirname "$0")/../.." || exit 1
n=0
named() { # kind of thing, how it is looked for: names come on stdin
    while read -r name; do
        n=$((n + 1))
        if "$2" "$name"; then
            echo "ok $n - $1 $name"
        else
            echo "not ok $n - $1 $name: there is none"
        fi
    done
}
target() { grep -qE "^$1:" Makefile; }
file() { [ -e "$1" ]; }
place() { grep -rqE "\b${1#*:}\b" --include="${1%:*}" commands completion conf core shell tests; }
table() { awk -F' [|] ' '/^[|]/ { if (cells == 0) cells = NF; if (!/^[|]-/ && NF != cells) bad = 1; next }
    { cells = 0 } END { exit bad }' "$1"; }
verb() { "build/${MODE:-asan}/zxmove" help "$1" >/dev/null 2>&1; }

pages=(README.md doc/*.md)
named target target < <(grep -ohE '(^ *|`)make [a-z][a-z-]*' "${pages[@]}" | sed 's/.*make //' | sort -u)
files='(?<![/\w])(doc|tests|completion|core|commands|shell|conf(?=/[a-z]+\.(c|h|yaml)\b))/[\w/-]+\.[a-z]+\b'
named file file < <(grep -ohP "$files" "${pages[@]}" | sort -u)
named function place < <(grep -ohE '\b[a-z_]+\.c:[a-z_]+\b' "${pages[@]}" | sort -u)
named verb verb < <(grep -ohE '\b(do|get)[A-Z][a-z]+([A-Z][a-z]+)*\b' README.md | sort -u)
named "tables of" table < <(printf '%s\n' "${pages[@]}")
echo "1..$n"
