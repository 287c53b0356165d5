# shellcheck shell=bash
# How tests/docker_image reports, and the words its checks are made of.

passed=0
failed=0

# One line for each check; what a failed command said goes below it.
check() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1 </dev/null); then
        passed=$((passed + 1))
        echo "ok    $name"
    else
        failed=$((failed + 1))
        echo "FAIL  $name"
        [[ -z $said ]] || tail -n 30 <<<"      | ${said//$'\n'/$'\n'      | }"
        return 1
    fi
}

# For what everything after it needs.
demand() {
    check "$@" || finish
}

finish() {
    echo "$passed passed, $failed failed"
    ((failed == 0))
    exit
}

equal() {
    [[ $1 == "$2" ]] || { printf 'expected: %s\n     got: %s\n' "$2" "$1"; return 1; }
}

# Not `! grep`: a log that cannot be read is not a clean one.
without() {
    local needle=$1
    shift
    grep -Fn -- "$needle" "$@"
    (($? == 1))
}

# 1 or 2, in words: it ran, and did not end well. Not 78, and not killed.
fails() {
    fails_with '[12]' "$@"
}

fails_with() {
    local status=$1 ended
    shift
    ("$@")
    ended=$?
    # shellcheck disable=SC2053 # a pattern
    [[ $ended == $status ]] || { echo "exit status $ended, not $status"; return 1; }
}

# Succeeds, and says so.
says() {
    local pattern=$1 said
    shift
    said=$("$@") || { echo "$said"; return 1; }
    grep -E -- "$pattern" <<<"$said" || { echo "$said"; return 1; }
}

# For what takes a moment to start.
soon() {
    local try
    for try in {1..50}; do
        ("$@") >/dev/null 2>&1 && return
        sleep 0.2
    done
    echo "still not after $((try / 5)) s:"
    "$@"
}
