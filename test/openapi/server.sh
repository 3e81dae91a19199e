# Starts the program on a stack of its own with a pipeline, records and a key:
# what the suites of the API's description run against. Sourced; gives $api,
# $key and $work, a folder that goes at the end.

work=$(mktemp -d)
server=
stop_server() {
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null
		wait "$server" 2>/dev/null
	fi
	rm -rf "$work"
}
trap stop_server EXIT

go build -o "$work/millstream" ./cmd/millstream
cp test/openapi/pipeline.sql "$work/"
(cd "$work" && exec ./millstream run pipeline.sql --local --listen 127.0.0.1:0 --admin-listen off -o json >ready 2>log) &
server=$!
tries=0
until [ -s "$work/ready" ]; do
	tries=$((tries + 1))
	if [ $tries -gt 600 ] || ! kill -0 "$server" 2>/dev/null; then
		echo "the server does not start:"
		cat "$work/log"
		exit 1
	fi
	sleep 0.1
done
field() { sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p' "$work/ready"; }
api=$(field api)
key=$(DATABASE_URL=$(field postgres) "$work/millstream" keys create test --scopes read,ingest,admin 2>/dev/null)
for i in 1 2 3 4 5; do
	curl -fsS -o "$work/answer" -H "X-API-Key: $key" -H 'Content-Type: application/x-ndjson' \
		--data-binary @test/openapi/orders.ndjson "$api/v1/topics/orders" && break
	sleep 0.2
done
