//! Status codes as labels: those that occur by name, the rest by class, so that
//! an upstream with codes of its own invention cannot make series without end.

/// The codes that have a place of their own, sorted.
const LISTED: [u16; 48] = [
    101, 200, 201, 202, 203, 204, 206, 207, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404,
    405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 425, 426, 429, 431,
    451, 499, 500, 501, 502, 503, 504, 505, 507, 520,
];

/// For all others.
const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// How many places there are.
pub(super) const COUNT: usize = LISTED.len() + CLASSES.len();

/// nginx's status for a client that left before its answer began.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The place of `status`, below [`COUNT`]; 0 is a client that got none.
pub(super) fn place(status: u16) -> usize {
    let status = if status == 0 {
        CLIENT_CLOSED_REQUEST
    } else {
        status
    };
    LISTED.binary_search(&status).unwrap_or_else(|_| {
        let class = usize::from(status / 100);
        LISTED
            .len()
            .saturating_add(if class < CLASSES.len() { class } else { 0 })
    })
}

/// The label of each place, in order.
pub(super) fn labels() -> impl Iterator<Item = String> {
    LISTED
        .iter()
        .map(ToString::to_string)
        .chain(CLASSES.iter().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_label() {
        assert!(LISTED.is_sorted(), "they are searched");
        let labels: Vec<_> = labels().collect();
        assert_eq!(labels.len(), COUNT);
        let cases = [
            ("the usual one", 200, "200"),
            ("the first", 101, "101"),
            ("the last", 520, "520"),
            ("the client left", 0, "499"),
            ("nobody knows it", 299, "2xx"),
            ("nor this one", 599, "5xx"),
            ("no class", 600, "other"),
            ("no status", 99, "other"),
            ("not even three digits", u16::MAX, "other"),
        ];
        for (name, status, expected) in cases {
            assert_eq!(labels[place(status)], expected, "case: {name}");
        }
        for status in 0..=u16::MAX {
            assert!(place(status) < COUNT);
        }
    }
}
