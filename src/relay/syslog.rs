//! What of a syslog message the program said.
//!
//! Only a header that is exactly one is taken off: nginx's and rsyslog's form of RFC 3164,
//! with or without a host name, and RFC 5424. Of everything else nothing is.

/// `Nov 22 09:00:00`.
const TIME: usize = 15;

/// The part behind the header; the whole message if it has none that we know.
#[must_use]
pub fn message(text: &[u8]) -> &[u8] {
    let Some(rest) = behind_priority(text) else {
        return text;
    };
    rfc5424(rest).or_else(|| rfc3164(rest)).unwrap_or(text)
}

/// Behind `<PRI>`.
fn behind_priority(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b"<")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (priority, rest) = rest.split_at_checked(digits)?;
    let is_priority =
        (1..=3).contains(&digits) && str::from_utf8(priority).ok()?.parse::<u16>().ok()? <= 191;
    rest.strip_prefix(b">").filter(|_| is_priority)
}

/// `Mmm dd hh:mm:ss [host] tag: message`.
fn rfc3164(text: &[u8]) -> Option<&[u8]> {
    let (time, rest) = text.split_at_checked(TIME)?;
    let is_time = time
        .iter()
        .zip(b"Aaa 99 99:99:99")
        .all(|(byte, like)| match like {
            b'A' | b'a' => byte.is_ascii_alphabetic(),
            b'9' => byte.is_ascii_digit() || *byte == b' ',
            other => byte == other,
        });
    let mut rest = rest.strip_prefix(b" ").filter(|_| is_time)?;
    for _ in 0..2 {
        let (word, behind) = word(rest)?;
        if word.ends_with(b":") && word.len() > 1 {
            return Some(behind);
        }
        rest = behind;
    }
    None
}

/// `1 time host app process id data [message]`.
fn rfc5424(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"1 ")?;
    for _ in 0..5 {
        let (field, behind) = word(rest)?;
        if field.is_empty() {
            return None;
        }
        rest = behind;
    }
    let rest = match rest.strip_prefix(b"-") {
        Some(rest) => rest,
        None => behind_data(rest)?,
    };
    let message = match rest {
        [] => rest,
        [b' ', message @ ..] => message,
        _ => return None,
    };
    Some(message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message))
}

/// Behind `[id name="value"][…]`; a value has `\"`, `\\` and `\]` for what would end it.
fn behind_data(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    while let Some(element) = rest.strip_prefix(b"[") {
        let mut is_quoted = false;
        let mut is_escaped = false;
        let end = element.iter().position(|byte| {
            let is_end = *byte == b']' && !is_quoted;
            is_quoted ^= *byte == b'"' && !is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            is_end
        })?;
        rest = element.get(end..)?.strip_prefix(b"]")?;
    }
    (rest.len() < text.len()).then_some(rest)
}

/// A word, and what follows the space behind it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr::memchr(b' ', text)?;
    let (word, rest) = text.split_at_checked(space)?;
    Some((word, rest.strip_prefix(b" ")?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers() {
        let cases = [
            (
                "nginx",
                "<190>Nov 22 09:00:00 host nginx: GET / 200",
                "GET / 200",
            ),
            (
                "nginx without a host",
                "<187>Nov  2 09:00:00 nginx: 2026/11/02 [error] 1#1: x",
                "2026/11/02 [error] 1#1: x",
            ),
            (
                "a message with a colon",
                "<190>Nov 22 09:00:00 h nginx: a b: c",
                "a b: c",
            ),
            ("with a process", "<13>Nov 22 09:00:00 h app[12]: x", "x"),
            ("empty", "<13>Nov 22 09:00:00 app: ", ""),
            (
                "RFC 5424",
                "<34>1 2026-11-22T09:00:00Z h app 12 ID47 - it said",
                "it said",
            ),
            (
                "with data",
                r#"<34>1 - - - - - [a@1 b="\"]"][c] it said"#,
                "it said",
            ),
            (
                "with a mark",
                "<34>1 - - - - - - \u{feff}it said",
                "it said",
            ),
            ("no message", "<34>1 - - - - - -", ""),
            (
                "no priority",
                "Nov 22 09:00:00 h app: x",
                "Nov 22 09:00:00 h app: x",
            ),
            (
                "too great a priority",
                "<192>Nov 22 09:00:00 app: x",
                "<192>Nov 22 09:00:00 app: x",
            ),
            (
                "no tag",
                "<13>Nov 22 09:00:00 one two three",
                "<13>Nov 22 09:00:00 one two three",
            ),
            ("no time", "<13>app: x", "<13>app: x"),
            (
                "data not closed",
                "<34>1 - - - - - [a it said",
                "<34>1 - - - - - [a it said",
            ),
            ("nothing", "", ""),
            (
                "an access log's line",
                "::1 - - [x] \"GET / HTTP/1.1\" 200",
                "::1 - - [x] \"GET / HTTP/1.1\" 200",
            ),
        ];
        for (name, text, expected) in cases {
            let read = message(text.as_bytes());
            assert_eq!(
                read.escape_ascii().to_string(),
                expected.as_bytes().escape_ascii().to_string(),
                "case: {name}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_end_of_it_stays(text in "(<[0-9]{0,4}>)?(1 |Nov 22 09:00:00 )?([a-z:\\[\\]\"\\\\ -]{0,40})") {
            prop_assert!(text.as_bytes().ends_with(message(text.as_bytes())));
        }
    }
}
