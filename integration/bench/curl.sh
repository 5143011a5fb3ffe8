# Uploads with curl and the protocol text alone.
# usage: sh curl.sh ENDPOINT FILE SIZE 0, or ENDPOINT DIRECTORY SIZE CONCURRENCY
set -eu
endpoint=$1 file=$2 size=$3 concurrency=$4
tus='Tus-Resumable: 1.0.0'
type='Content-Type: application/offset+octet-stream'

value() { tr -d '\r' | sed -n "s/^$1: //p"; }

# All files of a directory: one curl process, and one POST with data for each file.
if [ "$concurrency" -gt 0 ]; then
	for f in "$file"/*; do
		printf 'next\nurl = "%s"\nrequest = POST\nheader = "%s"\nheader = "%s"\nheader = "Upload-Length: %s"\ndata-binary = "@%s"\noutput = /dev/null\nfail\n' \
			"$endpoint" "$tus" "$type" "$size" "$f"
	done | curl --silent --show-error --parallel --parallel-max "$concurrency" --fail-early --config -
	exit
fi

# One file: a POST, then a PATCH with the missing bytes until the upload is complete.
url=$(curl -sSf -o /dev/null -D - -X POST -H "$tus" -H "Upload-Length: $size" "$endpoint" | value '[Ll]ocation')
offset=0 tries=0
while [ "$offset" -lt "$size" ]; do
	tries=$((tries + 1))
	[ "$tries" -le 100 ]
	offset=$(curl -sf -o /dev/null -D - -X PATCH -H "$tus" -H "$type" -H 'Expect:' \
		-H "Upload-Offset: $offset" -C "$offset" -T "$file" "$url" | value '[Uu]pload-[Oo]ffset')
	if [ -z "$offset" ]; then
		offset=$(curl -sSf -I -H "$tus" "$url" | value '[Uu]pload-[Oo]ffset')
	fi
done
