//! What stands in the place of a secret and is none: masks, and examples.

/// Words that say a secret was left out, without what is around them.
const WORDS: [&[u8]; 14] = [
    b"redacted",
    b"filtered",
    b"hidden",
    b"masked",
    b"removed",
    b"sensitive",
    b"sanitized",
    b"secret",
    b"censored",
    b"none",
    b"null",
    b"nil",
    b"undefined",
    b"unset",
];

/// Whether `value`, decoded, is a mask, a variable of a template, or nothing.
pub(super) fn is_one(value: &[u8]) -> bool {
    let core = trim(value);
    core.is_empty()
        || WORDS.iter().any(|word| core.eq_ignore_ascii_case(word))
        || is_repeated(core)
        || is_variable(value)
        || is_fingerprint(value)
        // A request line may end in `bearer`.
        || value.starts_with(b"HTTP/")
}

/// Without brackets, quotes and the like.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = value
        && is_around(*first)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && is_around(*last)
    {
        value = rest;
    }
    value
}

fn is_around(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"<>[](){}\"'`*_-.\\".contains(&byte)
}

/// `xxxxxx`.
fn is_repeated(value: &[u8]) -> bool {
    matches!(value, [first @ (b'x' | b'X'), rest @ ..] if rest.iter().all(|byte| byte == first))
}

/// `$token`, `${token}`, `{{token}}`, `{token}`, `<token>`, `%(token)s`.
fn is_variable(value: &[u8]) -> bool {
    let is_name = |name: &[u8]| {
        !name.is_empty()
            && name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(byte))
    };
    match value {
        [b'$', b'{', name @ .., b'}']
        | [b'{', b'{', name @ .., b'}', b'}']
        | [b'%', b'(', name @ .., b')', b's']
        | [b'{', name @ .., b'}']
        | [b'<', name @ .., b'>']
        | [b'$', name @ ..] => is_name(name),
        _ => false,
    }
}

/// `h:9f31c2ab`: what logs of ours have instead.
fn is_fingerprint(value: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    matches!(value, [b'h', b':', digits @ ..] if digits.len() == 8 && digits.iter().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_masks_from_secrets() {
        let cases = [
            ("ours", "<redacted>", true),
            ("Caddy's", "REDACTED", true),
            ("brackets", "[FILTERED]", true),
            ("stars", "********", true),
            ("what is left of a list", "[", true),
            ("letters", "xxxxxxxx", true),
            ("a variable of nginx", "$arg_access_token", true),
            ("of a shell", "${TOKEN}", true),
            ("of a template", "{{ token }}", true),
            ("of documentation", "<your token>", true),
            ("our fingerprint", "h:9f31c2ab", true),
            ("the version behind a name", "HTTP/1.1", true),
            ("a longer fingerprint is none", "h:9f31c2ab0", false),
            ("a token", "FAKEFAKEFAKE", false),
            ("one that begins like a mask", "redactedFAKE", false),
            ("one with marks around it", "_FAKE-", false),
        ];
        for (name, value, expected) in cases {
            assert_eq!(is_one(value.as_bytes()), expected, "case: {name}");
        }
    }
}
