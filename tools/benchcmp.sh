#!/usr/bin/env bash
# Compares the micro-benchmarks of two revisions of the module in the working directory by benchstat:
#
#	tools/benchcmp.sh HEAD~5 HEAD
#	tools/benchcmp.sh HEAD~5          with the working tree
#
# Both are run COUNT (6) times, in turns. BENCH (.) is the pattern of the benchmarks, BENCHTIME (0.3s) how long each of them runs.
set -euo pipefail

fail() {
	echo "benchcmp: $*" >&2
	exit 1
}

old=${1:-}
new=${2:-}
count=${COUNT:-6}
pattern=${BENCH:-.}
time=${BENCHTIME:-0.3s}
[ -n "$old" ] || fail "which revisions? tools/benchcmp.sh OLD [NEW], or make benchcmp OLD=… [NEW=…]; NEW is the working tree if left out"
[[ $count =~ ^[1-9][0-9]*$ ]] || fail "COUNT is $count: it is how many times both are run"

tools=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
finish() {
	for side in old new; do
		[ ! -e "$dir/$side" ] || git worktree remove --force "$dir/$side"
	done
	rm -rf "$dir"
}
trap finish EXIT

# checkout SIDE REVISION makes the revision's tree, $dir/SIDE.
checkout() {
	git rev-parse --quiet --verify "$2^{commit}" >/dev/null || fail "there is no revision $2"
	git worktree add --quiet --detach "$dir/$1" "$2" || fail "$2 cannot be checked out"
}

# build SIDE TREE compiles the packages that have benchmarks, and lists them with their directories in $dir/SIDE.tests.
build() {
	local files package n=0
	files=$(go -C "$2" list -f '{{$d := .Dir}}{{range .TestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}' ./...) ||
		fail "the packages of $1 cannot be listed"
	: >"$dir/$1.tests"
	while read -r package; do
		n=$((n + 1))
		go -C "$2" test -c -o "$dir/$1.$n.test" "$package" || fail "$1 does not compile"
		echo "$dir/$1.$n.test $package" >>"$dir/$1.tests"
	done < <(while read -r file; do grep -ls '^func Benchmark' "$file" || :; done <<<"$files" | sed 's,/[^/]*$,,' | sort -u)
}

# measure SIDE runs its benchmarks once.
measure() {
	local test package
	while read -r test package; do
		(cd "$package" && "$test" -test.run '^$' -test.bench "$pattern" -test.benchmem -test.benchtime "$time") >"$dir/log" 2>&1 </dev/null || {
			cat "$dir/log" >&2
			fail "benchmarks of $1 failed"
		}
		cat "$dir/log" >>"$dir/$1.txt"
	done <"$dir/$1.tests"
}

checkout old "$old"
build old "$dir/old"
if [ -n "$new" ]; then
	checkout new "$new"
	build new "$dir/new"
else
	build new "$PWD"
fi
touch "$dir/old.txt" "$dir/new.txt"
for ((round = 1; round <= count; round++)); do
	echo "benchcmp: round $round of $count" >&2
	if ((round % 2)); then measure old; measure new; else measure new; measure old; fi
done
grep -qs '^Benchmark' "$dir/old.txt" "$dir/new.txt" || fail "no benchmark matches $pattern"
go -C "$tools" tool benchstat "$old=$dir/old.txt" "${new:-working tree}=$dir/new.txt"
