//! A lookup is on the path of every request: it allocates nothing.

use std::hint::black_box;

use tokenshim::requirement::of;

#[test]
fn a_lookup_allocates_nothing() {
    // The first call builds the table.
    black_box(of(b"GET", b"/"));
    let paths: [&[u8]; 6] = [
        b"/_matrix/client/v3/sync",
        b"/_matrix/client/v3/rooms/%21room%3Aexample.org/state/m.room.name/x%2Fy",
        b"/_synapse/admin/v2/users/%40user%3Aexample.org/devices/DEVICE",
        b"/_matrix/federation/v1/..%2f/%2e%2e/a//b",
        b"/nothing/we/know",
        b"",
    ];
    for path in paths {
        for method in [&b"GET"[..], b"PUT", b"OPTIONS", b"\xff"] {
            let counted = allocation_counter::measure(|| {
                black_box(of(black_box(method), black_box(path)));
            });
            assert_eq!(counted.count_total, 0, "{}", path.escape_ascii());
        }
    }
    // The counter does count.
    let counted = allocation_counter::measure(|| drop(black_box(vec![1_u8])));
    assert_eq!(counted.count_total, 1);
}
