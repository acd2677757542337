# What the shell of a document's session knows besides what a reader's knows. HERE is the session's folder, which it starts
# in; `segno` and `temporal` are on its path.
set -euo pipefail

server=
stop_serving() {
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
trap stop_serving EXIT
trap 'exit 143' TERM

# serve COMMAND…: what a reader leaves running in another terminal, from when it is ready. What served before is stopped.
serve() {
    stop_serving
    "$@" >>"$HERE/.serving.log" 2>&1 </dev/null &
    server=$!
    eventually serves
}

serves() {
    if ! kill -0 "$server" 2>/dev/null; then
        echo "it has ended"
        exit 1
    fi
    case $serving in
    engine) (exec 3<>"/dev/tcp/127.0.0.1/${SEGNO_GRPC##*:}") 2>/dev/null ;;
    *) command curl -fsS -o /dev/null "http://$SEGNO_HTTP/readyz" ;;
    esac
}

serving=
segno() {
    case $1 in
    up | engine)
        serving=$1
        serve command segno "$@"
        ;;
    demo)
        serving=$1
        serve command segno "$@" --receiver "$RECEIVER"
        ;;
    *) command segno "$@" ;;
    esac
}

# `cargo run -- …` is the program that was built for the tests.
cargo() {
    case "$*" in
    "run --release -- "*) segno "${@:4}" ;;
    *)
        echo "the tests of documents do not run: cargo $*"
        return 1
        ;;
    esac
}

# An answer that is an error is a failure of the command here.
curl() {
    command curl -sS --fail-with-body --max-time 60 "$@"
}

# eventually COMMAND…: waits until it succeeds, for a minute at most.
eventually() {
    local end=$((SECONDS + 60))
    until "$@" >"$HERE/.eventually" 2>&1; do
        if [ $SECONDS -ge $end ]; then
            echo "not within a minute: $*"
            cat "$HERE/.eventually"
            return 1
        fi
        sleep 0.1
    done
}

# shows TEXT COMMAND…: whether the command succeeds and prints this.
shows() {
    local text=$1 printed
    shift
    printed=$("$@" 2>&1) || { printf '%s\n' "$printed"; return 1; }
    printf '%s\n' "$printed"
    [[ $printed == *"$text"* ]]
}

# send TYPE ID DATA [SUBJECT [SOURCE]]: sends an event, of the source /shop if none is given.
send() {
    local event="{\"specversion\": \"1.0\", \"id\": \"$2\", \"source\": \"${5:-/shop}\", \"type\": \"$1\", \"data\": $3"
    curl "http://$SEGNO_HTTP/events" -H 'content-type: application/cloudevents+json' \
        -d "$event${4:+, \"subject\": \"$4\"}}"
}

# last_id: the last `"id"` that the step has printed.
last_id() {
    grep -o '"id": *"[^"]*"' "$OUT" | tail -1 | cut -d'"' -f4
}

# step NUMBER STATUS: runs the script of a step in this shell, and goes on if it ends as it has to.
step() {
    local number=$1 wanted=$2
    OUT="$HERE/.steps/$number.out"
    if [ "$wanted" = 0 ]; then
        . "$HERE/.steps/$number.sh" >"$OUT" 2>&1
        echo 0 >"$HERE/.steps/$number.status"
    else
        # In a shell of its own, which may end by it.
        (set +e; . "$HERE/.steps/$number.sh") >"$OUT" 2>&1 && got=0 || got=$?
        echo "$got" >"$HERE/.steps/$number.status"
        [ "$got" = "$wanted" ]
    fi
}

