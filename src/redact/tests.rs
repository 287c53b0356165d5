//! Every spelling a log has shown, and what must never be taken for a secret.

mod laws;
mod shapes;
mod untouched;

use super::*;

/// Each row: what it proves, and a text with its secrets in `«»`.
fn check(rows: &[(&str, &str)]) {
    for (name, marked) in rows {
        let text = marked.replace(['«', '»'], "");
        let masked = String::from_utf8(mask(text.as_bytes()).into_owned()).expect("still text");
        assert_eq!(masked, expected(marked), "case: {name}");
    }
}

fn expected(marked: &str) -> String {
    let parts = marked
        .split('«')
        .map(|part| part.split_once('»').map_or(part, |(_, rest)| rest));
    parts.collect::<Vec<_>>().join("<redacted>")
}

#[test]
fn parameters() {
    check(&[
        ("alone", "/p?access_token=«SECRET»"),
        ("in the middle", "/p?a=1&access_token=«SECRET»&b=2"),
        ("no question mark", "access_token=«SECRET»&foo=1"),
        ("other case", "/p?Access_Token=«SECRET»&b=2"),
        ("a dot, as PHP reads it", "/p?access.token=«SECRET»&b=2"),
        ("a NUL behind it", "/p?access_token%00=«SECRET»&b=2"),
        ("capitals", "/p?ACCESS_TOKEN=«SECRET»"),
        ("longer name", "/p?xaccess_token=«SECRET»"),
        ("identity server", "/p?id_access_token=«SECRET»"),
        ("guest", "/p?guest_access_token=«SECRET»"),
        ("refresh", "/p?refresh_token=«SECRET»"),
        ("login", "/?loginToken=«SECRET»&x=1"),
        ("client secret", "/p?client_secret=«SECRET»&sid=4"),
        ("appservice", "/p?as_token=«SECRET»&hs_token=«SECRET»"),
        ("registration", "/validity?token=«SECRET»"),
        ("password", "/login?user=bob&password=«SECRET»"),
        ("authorization code", "/cb?code=«SECRET»&state=x"),
        ("code behind a separator", "/cb?state=x&code=«SECRET»"),
        ("code of a fragment", "x https://c/cb#code=«SECRET»"),
        ("ticket", "/cas?ticket=«ST-SECRET»"),
        ("session", "/fallback/web?session=«SECRET»"),
        ("semicolon", "/p?x=1;access_token=«SECRET»;y=2"),
        ("HTML", "?a=1&amp;access_token=«SECRET»&amp;b=2"),
        ("twice", "/p?access_token=«SECRET»&access_token=«SECRET»"),
        ("behind an equals sign", "/p?access_token=«=SECRET»"),
        ("empty", "/p?access_token=&b=2"),
        ("name alone", "/p?access_token&b=2"),
        ("masked already", "/p?access_token=<redacted>&b=2"),
        ("masked and encoded", "/p?access_token=%3Credacted%3E&b"),
        ("more than a mask", "/p?access_token=«<redacted>SECRET»"),
        ("quote in a target", r#"/p?access_token=«SECRET"SECRET»&b"#),
        ("hash in a target", "/p?access_token=«SECRET#SECRET»&b"),
        ("space behind", "GET /p?access_token=«SECRET» HTTP/1.1"),
        (
            "configuration line",
            "as_token: «SECRET»\nhs_token: «SECRET»\n",
        ),
        ("TOML", r#"as_token = "«SECRET SECRET»" x"#),
        ("quoted", r#"token="«SECRET SECRET»" x"#),
        ("cut line", r#""GET /p?access_token=«SECRET»"#),
    ]);
}

#[test]
fn arrays() {
    check(&[
        ("array", "/p?access_token[]=«SECRET»&b=2"),
        ("encoded", "/p?access_token%5B%5D=«SECRET»&b=2"),
        ("encoded in lower case", "/p?access_token%5b0%5d=«SECRET»"),
        (
            "all of it",
            "/p?u=access_token%255B%255D%253D«SECRET»%2526b",
        ),
        ("index", "/p?access_token[0]=«SECRET»&access_token[1]=«S»"),
        ("key", "/p?token[main]=«SECRET»"),
        ("several", "/p?access_token[a][0][]=«SECRET»"),
        ("in a record", "/p?user[password]=«SECRET»&user[name]=b"),
        ("JSON", r#"{"access_token[]":"«SECRET»","b":1}"#),
        ("a name as the index", "/p?access_token[token=«SECRET]=b»"),
        ("a token as the index", "/p?access_token[«syt_SECRET»]=b"),
        ("not closed", "/p?access_token[=b"),
        ("nothing given", "/p?access_token[]&b=[2]"),
        ("empty", "/p?access_token[]=&b=2"),
        ("masked already", "/p?access_token[]=<redacted>&b=2"),
    ]);
}

#[test]
fn a_target_broken_in_two() {
    check(&[
        ("request line", "GET /p?access_token= «OPAQUE» HTTP/1.1"),
        ("tab", "GET /p?access_token=\t«OPAQUE»\tHTTP/1.1"),
        ("blanks", "GET /p?access_token=   «OPAQUE» HTTP/1.1"),
        ("no version", "GET /p?access_token= «OPAQUE»"),
        ("target alone", "/p?access_token= «OPAQUE»"),
        ("no path", "CONNECT h?access_token= «OPAQUE» HTTP/1.1"),
        (
            "more behind it",
            "GET /p?access_token= «OPAQUE»&b=2 HTTP/1.1",
        ),
        ("array", "GET /p?access_token[]= «OPAQUE» HTTP/1.1"),
        (
            "encoded",
            "GET /p?next=access_token%3D «OPAQUE»%26b HTTP/1.1",
        ),
        (
            "in a log line",
            r#"x "GET /p?access_token= «OPAQUE» HTTP/1.1" 400"#,
        ),
        (
            "a name behind it",
            "GET /p?access_token= token=«OPAQUE» HTTP/1.1",
        ),
        (
            "a field behind it",
            r#"/p?access_token= token: "«SECRET SECRET»""#,
        ),
        ("a scheme behind it", "/p?access_token= Bearer «SECRET01» x"),
        ("closed by a quote", r#"to="/p?access_token= «OPAQUE»" x"#),
        ("closed by a hash", "/p?access_token= «OPAQUE»#x"),
        (
            "a quoted part of it",
            r#"/p?access_token= «syt_SECRET="SECRET SECRET»" x"#,
        ),
        ("version", "GET /p?access_token= HTTP/1.1"),
        ("version in lower case", "GET /p?access_token= http/1.1"),
        ("quote", r#""https://c/?access_token= " "Mozilla/5.0""#),
        ("no target", "access_token= user=bob status=200"),
        ("masked already", "GET /p?access_token= <redacted> HTTP/1.1"),
    ]);
}

#[test]
fn encoded_parameters() {
    check(&[
        ("underscore", "/p?access%5Ftoken=«SECRET»&b=2"),
        ("small digits", "/p?access%5ftoken=«SECRET»"),
        ("one letter", "/p?%61ccess_token=«SECRET»"),
        ("a letter of the fragment", "/p?access_to%6Ben=«SECRET»"),
        (
            "whole name",
            "/p?%61%63%63%65%73%73%5f%74%6f%6b%65%6e=«SECRET»&b=2",
        ),
        ("encoded equals", "/p?next=access_token%3D«SECRET»%26b"),
        ("nested URL", "/p?next=%2Fq%3Faccess_token%3D«SECRET»&b=1"),
        (
            "nested, more behind it",
            "/p?next=%2Fq%3Fa%3D1%26access_token%3D«SECRET»%26b%3D1&c=1",
        ),
        ("nested plainly", "/p?next=/q?access_token=«SECRET»&b=1"),
        ("twice encoded", "/p?u=access%255Ftoken%253D«SECRET»%2526b"),
        ("three times", "/p?u=access_token%25253D«SECRET»%252526b"),
        ("every byte, twice", "/p?%25%36%31ccess_token=«SECRET»"),
        (
            "deeper separators are data",
            "/p?u=token%3D«SECRET%2526SECRET»&b",
        ),
        (
            "plain separators count",
            "/p?access_token=«SECRET%26SECRET»&b",
        ),
        ("encoded value", "/p?access_token=«SECRET%2BRET%2F05%3D»"),
        ("plus", "/p?access_token=«SECRET+RET06»"),
        (
            "CR LF",
            "/p?access_token=«SECRET%0d%0aX-Injected:%20yes»&b=2",
        ),
        ("wrong escape", "/p?access_token=«SECRET%zz»&q=1"),
        ("NUL", "/p?access_token=«SECRET%00abc»&b=1"),
        ("not ASCII", "/p?access_token=«SECRET%C3%A9»&b=1"),
        ("UTF-8", "/p?access_token=«SECRETé»&b=1"),
        (
            "raw control byte",
            "/p?access_token=«SECRET\u{1}\u{7f}x»&b=1",
        ),
        ("code, encoded", "/p?next=%3Fcode%3D«SECRET»%26x"),
        (
            "JSON escapes",
            r#"{"u":"/p?a=1\u0026access_token=«SECRET»\u0026b"}"#,
        ),
        ("JSON equals", r#"{"u":"access_token\u003d«SECRET»"}"#),
        ("JSON name", r#"{"u":"access\u005ftoken=«SECRET»"}"#),
        ("JSON letter", r#"{"u":"access_to\u006ben=«SECRET»"}"#),
        ("hexadecimal letter", r"u=access_to\x6ben=«SECRET»"),
        (
            "JSON in JSON",
            r#"{\"u\":\"/p?access_token=«SECRET»\",\"b\":1}"#,
        ),
        ("JSON line end", r#"{"m":"a\ntoken=«SECRET»\nb"}"#),
    ]);
}

#[test]
fn log_lines() {
    check(&[
        (
            "combined",
            r#"::1 - - [x] "GET /p?access_token=«SECRET» HTTP/1.1" 200 1 "https://c/?loginToken=«SECRET»" "UA/1.0 (x)""#,
        ),
        (
            "empty value at the end of a field",
            r#""https://c/?access_token=" "Mozilla/5.0 (X11)""#,
        ),
        ("Referer", "Referer: https://c/x?access_token=«SECRET»&y=1"),
        (
            "fragment in prose",
            "at https://c/?loginToken=«SECRET»#/room/x end",
        ),
        ("angles", "<https://c/?access_token=«SECRET»>; rel=next"),
        (
            "nginx body",
            r"{\x22access_token\x22:\x22«SECRET»\x22,\x22b\x22:1}",
        ),
        (
            "nginx quote",
            r#"x "GET /p?access_token=«SECRET\x22SECRET»" 1"#,
        ),
        (
            "error log",
            r#"upstream: "http://h/p?access_token=«SECRET»", host: "x""#,
        ),
    ]);
}

#[test]
fn fields() {
    check(&[
        ("JSON", r#"{"access_token":"«SECRET»","b":1}"#),
        ("spaces", r#"{ "access_token" : "«SECRET SECRET»" }"#),
        ("escaped", r#"{\"access_token\":\"«SECRET»\",\"b\":1}"#),
        ("escaped twice", r#"\\\"access_token\\\":\\\"«SECRET»\\\""#),
        ("quote in it", r#"{"password":"«SEC\"RET»","b":1}"#),
        ("backslash at its end", r#"{"password":"«SECRET\\»","b":1}"#),
        ("number", r#"{"password":«12345»,"b":1}"#),
        ("null", r#"{"access_token":null}"#),
        ("object", r#"{"token":{"a":"b"}}"#),
        ("empty", r#"{"access_token":"","b":"c"}"#),
        (
            "login token",
            r#"{"type":"m.login.token","token":"«SECRET»"}"#,
        ),
        ("new password", r#"{"new_password":"«SECRET»"}"#),
        ("Rust", r#"Login { access_token: "«SECRET»", user: "b" }"#),
        (
            "Rust option",
            r#"Login { refresh_token: Some("«SECRET»") }"#,
        ),
        ("Rust nothing", "Login { refresh_token: None }"),
        ("Python", "{'access_token': '«SECRET»', 'b': 1}"),
        ("Twisted", "{b'access_token': [b'«SECRET»']}"),
        ("Go", "map[access_token:[«SECRET»] b:[1]]"),
        ("Ruby", r#"{"access_token"=>"«SECRET»"}"#),
        ("camel case", r#"{"accessToken":"«SECRET»"}"#),
        ("header", "X-Access-Token: «SECRET»"),
        (
            "in a query",
            "/p?f=%7B%22access_token%22%3A%22«SECRET»%22%7D&b",
        ),
        ("cut", r#"{"access_token":"«SECRET»"#),
        ("the line ends it", "\"token\":\"«SECRET»\nnext"),
    ]);
}

#[test]
fn authorization() {
    check(&[
        ("header", "Authorization: Bearer «SECRET»"),
        ("small", "authorization: bearer «SECRET» x"),
        ("Basic", "Authorization: Basic «dXNlcjpTRUNSRVQ=»"),
        (
            "Basic, quoted",
            r#"-H "Authorization: Basic «dXNlcjpTRUNSRVQ=»" -v"#,
        ),
        ("padding", r#"["Bearer «SECRET01==»", "b"]"#),
        ("proxy", "Proxy-Authorization: Basic «dXNlcjpTRUNSRVQ=»"),
        ("no scheme", "Authorization: «SECRET»"),
        ("scheme alone", "Authorization: Bearer"),
        ("quoted", r#"authorization: "Bearer «SECRET»", a: "b""#),
        ("JSON", r#"{"authorization":"Bearer «SECRET»","a":1}"#),
        ("escaped", r#"{\"Authorization\":\"Bearer «SECRET»\"}"#),
        (
            "Caddy",
            r#""Authorization":["Bearer «SECRET»"],"Range":["a"]"#,
        ),
        ("shell", "curl -H 'Authorization: Bearer «SECRET»' x"),
        ("field", r#"authorization="Bearer «SECRET»" a=1"#),
        ("query", "/p?authorization=Bearer%20«SECRET»&b"),
        (
            "signature",
            r#"Authorization: X-Matrix «origin="a",destination="b",key="k",sig="SECRET"» x"#,
        ),
        (
            "Digest",
            r#"Authorization: Digest «username="b", response="SECRET", qop=auth»"#,
        ),
        ("bare", "sent Bearer «SECRET01» upstream"),
        ("bare in a list", "[b'Bearer «SECRET01»']"),
        ("a name behind it", "with Bearer «access_token: SECRET» x"),
        ("twice the scheme", "x Bearer «SECRET01+bearer SECRET02» y"),
        ("masked", "Authorization: Bearer <redacted>"),
    ]);
}

#[test]
fn other_parameters() {
    let cases = [
        ("in any case", "api_key", "/?API_KEY=«SECRET»&b"),
        ("dash for underscore", "api-key", "/?api_key=«SECRET»"),
        ("encoded", "api_key", "/?ap%69_key=«SECRET»"),
        ("fragment encoded", "api_key", "/?api_ke%79=«SECRET»"),
        ("whole name only", "apikey", "/?myapikey=1"),
        ("three letters", "key", "/?key=«SECRET»&monkey=1&key%3D«S»"),
        ("one letter", "t", "/?at=1&t=«SECRET»"),
        ("marks", "auth[k]", "/?auth[k]=«SECRET»"),
        ("marks first", "$k:x/y?z", "/?$k:x/y?z=«SECRET»"),
        (
            "a scheme",
            "authorization",
            "/?authorization=«Bearer+SECRET»",
        ),
        ("known ones stay", "apikey", "/?access_token=«SECRET»"),
        ("field", "apikey", r#"{"apikey": "«SECRET»"}"#),
    ];
    for (name, parameter, marked) in cases {
        let redactor = Redactor::with_parameters(&[parameter]);
        let text = marked.replace(['«', '»'], "");
        let masked = redactor.mask(text.as_bytes()).into_owned();
        assert_eq!(masked, expected(marked).as_bytes(), "case: {name}");
    }
    let long = "long".repeat(50);
    let redactor = Redactor::with_parameters(&[&long]);
    let masked = redactor
        .mask(format!("/?{long}=SECRET").as_bytes())
        .into_owned();
    assert_eq!(masked, format!("/?{long}=<redacted>").as_bytes());
}

/// What stands before a name says whether it is one, however far back, in one piece or two.
#[test]
fn behind_words_of_any_length() {
    for length in 0..300 {
        for (piece, behind) in [("", ""), ("%61", "a"), ("x", "y")] {
            let before = format!("{}{piece}{}", "x".repeat(length), behind.repeat(length / 2));
            let any = format!("/p?{before}_access_token=SECRET");
            let any_masked = any.replace("SECRET", "<redacted>");
            assert_eq!(mask(any.as_bytes()), any_masked.as_bytes(), "{any}");
            let whole = format!("/p?{before}code=SECRET");
            let is_whole = before.is_empty();
            assert_eq!(
                find(whole.as_bytes()).len(),
                usize::from(is_whole),
                "{whole}"
            );
        }
    }
}

#[test]
fn struck_out() {
    check(&[
        ("parameter", "/p?access_token=******&b=2"),
        ("one byte", "access_token=* x"),
        ("quoted", r#"token="******" x"#),
        ("JSON", r#"{"access_token":"******","b":1}"#),
        ("JSON number", r#"{"password":*****,"b":1}"#),
        ("header", "Authorization: Bearer ******"),
        ("bare scheme", "sent Bearer ******** upstream"),
        ("list", "Authorization: X-Matrix ************ x"),
        ("broken in two", "GET /p?access_token= ****** HTTP/1.1"),
        ("written on", "/p?access_token=«****SECRET»&b=2"),
        ("begins with them", r#"{"password":"«**SECRET**»"}"#),
    ]);
}

#[test]
fn costs_nothing_without_a_finding() {
    assert!(matches!(
        mask(b"/_matrix/client/versions"),
        Cow::Borrowed(_)
    ));
    assert_eq!(find(b"/_matrix/client/versions").capacity(), 0);
    let mut out = b"target ".to_vec();
    Redactor::default().mask_into(b"/?access_token=SECRET", &mut out);
    assert_eq!(out, b"target /?access_token=<redacted>");
}
