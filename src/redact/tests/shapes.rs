//! Tokens without a name beside them, and what is said about every finding.

use super::*;

#[test]
fn found_by_their_shape() {
    let access = token::fake::synapse("syt_RkFLRQ_FAKEFAKEFAKEFAKEFAKE");
    let plus = token::fake::synapse("syt_RkF+L0U_FAKEFAKEFAKEFAKEFAKE").replace('+', "%2B");
    let compat = token::fake::mas("mct_FAKEFAKEFAKEFAKEFAKEFAKE012345");
    let ours = token::fake::mas("tsh_FAKEFAKEFAKEFAKEFAKEFAKE012345");
    let macaroon = format!("MDAxN2xvY2F0aW9uIG{}", "FAKE".repeat(20));
    let refresh = format!("refresh_{}", "FAKE".repeat(8));
    let spelled =
        |text: &str, escape: fn(u8) -> String| -> String { text.bytes().map(escape).collect() };
    let percent = |text: &str| spelled(text, |byte| format!("%{byte:02X}"));
    let json = |text: &str| spelled(text, |byte| format!("\\u{byte:04x}"));
    let twice = percent(&access).replace('%', "%25");
    let rows = [
        ("Synapse", access.as_str()),
        ("encoded", &percent(&access)),
        (
            "encoded in lower case",
            &percent(&access).to_ascii_lowercase(),
        ),
        ("twice encoded", &twice),
        ("three times encoded", &twice.replace('%', "%25")),
        ("every byte of the escapes", &percent(&percent(&access))),
        ("prefix encoded", &access.replace("syt_", "%73%79%74%5f")),
        ("first letter encoded", &access.replace("syt_", "%73yt_")),
        ("second letter encoded", &access.replace("syt_", "s%79t_")),
        ("third letter encoded", &access.replace("syt_", "sy%2574_")),
        ("JSON", &json(&access)),
        ("nginx", &percent(&access).replace('%', "\\x")),
        ("MAS, encoded", &percent(&compat)),
        ("MAS, a letter encoded", &compat.replace("mct_", "m%63t_")),
        ("macaroon, encoded", &percent(&macaroon)),
        (
            "macaroon, a letter encoded",
            &macaroon.replace("MDA", "M%44A"),
        ),
        ("Tuwunel, encoded", &percent(&refresh)),
        (
            "Tuwunel, a letter encoded",
            &refresh.replace("refr", "re%66r"),
        ),
        ("made up, encoded", "%73%79%72%5FSECRET"),
        ("MAS, cut, encoded", &percent("mat_FAKEfake0123456")),
        ("encoded mark", &access.replace('_', "%5F")),
        ("twice encoded mark", &access.replace('_', "%255F")),
        ("encoded plus", &plus),
        ("MAS", &compat),
        ("ours", &ours),
        ("ours, encoded", &percent(&ours)),
        ("ours, a letter encoded", &ours.replace("tsh_", "t%73h_")),
        ("macaroon", &macaroon),
        ("Tuwunel", &refresh),
        ("cut", "syt_RkFLRQ_FAKEF"),
        ("made up", "syr_SECRET"),
        ("MAS, cut", "mat_FAKEfake0123456"),
    ];
    for (name, token) in rows {
        for (before, behind) in [
            ("", ""),
            ("/x/", "/y"),
            ("a ", ", b"),
            ("\"", "\""),
            ("?q=", "&r"),
            ("%26", "%26"),
        ] {
            let text = format!("{before}{token}{behind}");
            let expected = format!("{before}<redacted>{behind}");
            assert_eq!(
                mask(text.as_bytes()),
                expected.as_bytes(),
                "case: {name}, {text}"
            );
        }
    }
    assert_eq!(
        mask(format!("{access}=SECRET").as_bytes()),
        MASK,
        "a token in the place of a name"
    );
}

#[test]
fn says_what_it_found() {
    let access = token::fake::synapse("syt_RkFLRQ_FAKEFAKEFAKEFAKEFAKE");
    let (wrong, _) = access.split_at(access.len() - 1);
    let synapse = |checksum| Token {
        kind: TokenKind::SynapseAccess,
        checksum,
    };
    let verified = synapse(Checksum::Verified);
    let mas = Token {
        kind: TokenKind::MasCompatAccess,
        checksum: Checksum::Verified,
    };
    let cases = [
        ("bare", access.clone(), Kind::Token(verified)),
        (
            "wrong checksum",
            format!("{wrong}-").replace('-', "!"),
            Kind::Token(synapse(Checksum::Absent)),
        ),
        (
            "parameter",
            format!("/?access_token={access}"),
            Kind::Parameter(Some(verified)),
        ),
        (
            "encoded",
            format!("/?token={}", access.replace('_', "%5F")),
            Kind::Parameter(Some(verified)),
        ),
        (
            "unknown",
            "/?access_token=SECRET".into(),
            Kind::Parameter(None),
        ),
        (
            "field",
            format!("\"token\":\"{access}\""),
            Kind::Field(Some(verified)),
        ),
        (
            "header",
            format!("Authorization: Bearer {access}"),
            Kind::Authorization(Some(verified)),
        ),
        (
            "MAS",
            token::fake::mas("mct_FAKEFAKEFAKEFAKEFAKEFAKE012345"),
            Kind::Token(mas),
        ),
        (
            "ours",
            token::fake::mas("tsh_FAKEFAKEFAKEFAKEFAKEFAKE012345"),
            Kind::Token(Token {
                kind: TokenKind::Tokenshim,
                checksum: Checksum::Verified,
            }),
        ),
    ];
    for (name, text, expected) in cases {
        let kinds: Vec<_> = find(text.as_bytes())
            .iter()
            .map(|finding| finding.kind)
            .collect();
        assert_eq!(kinds, [expected], "case: {name}");
    }
    let swapped = access.replace("FAKEFAKE_", "FAKEFAKF_");
    let [finding] = &find(swapped.as_bytes())[..] else {
        panic!("one finding")
    };
    assert_eq!(finding.kind, Kind::Token(synapse(Checksum::Wrong)));
    assert_eq!(finding.confidence(), Confidence::Shape);
}
