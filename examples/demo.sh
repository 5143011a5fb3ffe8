#!/usr/bin/env bash
# Uploads a file to tusd, interrupts the upload halfway, resumes it by its URL, and
# compares the stored bytes with the file. Usage: demo.sh [FILE]
set -euo pipefail
file=${1:-}
case $file in
"" | /*) ;;
*) file=$PWD/$file ;; # relative to the caller's directory
esac
cd "$(dirname "$0")"

work=$(mktemp -d)
server= upload=
cleanup() {
	local pid
	for pid in $upload $server; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$work"
}
trap cleanup EXIT

say() { printf '\n== %s\n' "$*"; }
# show prints the command that runs next, without its redirections.
show() {
	printf '   $'
	printf ' %q' "$@"
	printf '\n'
}
die() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}
# sha256 prints the SHA-256 of a file. macOS has shasum, Linux has sha256sum.
sha256() {
	if command -v sha256sum >/dev/null; then
		sha256sum <"$1"
	else
		shasum -a 256 <"$1"
	fi | cut -d ' ' -f 1
}
# bytes prints the size of a file in bytes.
bytes() { wc -c <"$1" | tr -d ' '; }
# field prints the value of a field in a line of JSON.
field() { sed -E "s/.*\"$1\":\"?([^,\"}]*).*/\1/" <<<"$2"; }

if [ -z "$file" ]; then
	# The largest file of the Go toolchain.
	file=$(find "$(go env GOROOT)/pkg" "$(go env GOROOT)/bin" -type f -size +1000k -exec ls -ln {} + |
		sort -k5,5n | tail -n 1 | awk '{ print $NF }')
fi
[ -f "$file" ] || die "no such file: $file"
size=$(bytes "$file")
[ "$size" -ge 1000000 ] || die "$file has only $size bytes; use a file of at least 1 MB"

say "Building tusup"
command=(go build -o "$work/tusup" ./tusup)
show "${command[@]}"
"${command[@]}"
PATH=$work:$PATH

say "Starting a tusd"
command=(tusup serve --dir "$work/store" --addr 127.0.0.1:0)
show "${command[@]}"
"${command[@]}" >"$work/serve.txt" 2>"$work/serve.log" &
server=$!
for _ in $(seq 100); do
	[ -s "$work/serve.txt" ] && break
	kill -0 "$server" 2>/dev/null || die "the server did not start: $(cat "$work/serve.log")"
	sleep 0.1
done
endpoint=$(awk '{ print $3 }' "$work/serve.txt")
echo "   $(cat "$work/serve.txt")"

say "Uploading $file ($size bytes), at a rate that takes about 8 seconds"
command=(tusup --endpoint "$endpoint" --state "$work/state.db" --json
	--chunk-size $((size / 20 + 1)) --bwlimit $((size / 8)) "$file")
show "${command[@]}"
"${command[@]}" >"$work/first.json" &
upload=$!
# Interrupt the upload when the server has half of the file.
half=
for _ in $(seq 300); do
	stored=$(find "$work/store" -type f ! -name '*.*') # not info and locks
	if [ -n "$stored" ] && [ "$(bytes "$stored")" -ge $((size / 2)) ]; then
		half=yes
		break
	fi
	kill -0 "$upload" 2>/dev/null || break
	sleep 0.05
done
[ -n "$half" ] || die "the upload ended before half of the file was stored"
say "Halfway: interrupting the upload with SIGINT"
show kill -INT "$upload"
kill -INT "$upload"
status=0
wait "$upload" || status=$?
upload=
[ "$status" -eq 130 ] || die "the upload ended with exit code $status, not 130"
first=$(cat "$work/first.json")
echo "   $first"
url=$(field url "$first")

say "Offset on the server"
command=(tusup info "$url")
show "${command[@]}"
"${command[@]}" | sed 's/^/   /'

say "Resuming the upload by its URL"
command=(tusup --upload-url "$url" --json --progress none "$file")
show "${command[@]}"
second=$("${command[@]}")
echo "   $second"
echo "   resumed from byte $(field resumed_from "$second"), sent $(field bytes_sent "$second") of $size bytes in $(field requests "$second") requests"

say "Comparing SHA-256"
stored="$work/store/${url##*/}"
want=$(sha256 "$file")
got=$(sha256 "$stored")
echo "   source $want"
echo "   server $got"
[ "$want" = "$got" ] || die "the digests differ"
say "Equal. $(field bytes_sent "$first") + $(field bytes_sent "$second") bytes were sent for $size."
