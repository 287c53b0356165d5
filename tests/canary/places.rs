//! Where a token can stand in a request, and how it can be spelled.

/// Places where the surroundings give any token away. `{c}` is the token,
/// `{p}` and `{l}` percent-encoded in either case, `{d}` twice, `{t}` three
/// times, `{u}` only its underscores, `{j}` with JSON escapes, `{b}` in Basic
/// credentials.
const TARGETS: [&str; 57] = [
    "/p?access_token={c}",
    "/p?access_token={p}",
    "/p?access_token={l}",
    "/p?access_token={d}",
    "/p?access_token={t}",
    "/p?access%5Ftoken={c}",
    "/p?access%5ftoken={p}",
    "/p?%61%63%63%65%73%73%5f%74%6f%6b%65%6e={c}",
    "/p?access%255Ftoken={c}",
    "/p?access%255Ftoken={d}",
    "/p?access%25255Ftoken={c}",
    "/p?Access_Token={c}",
    "/p?ACCESS_TOKEN={p}",
    "/p?a=1;access_token={c};b",
    "/p?access_token={c}&access_token={c}x",
    "/p?access_token=&access_token={c}",
    "/p?access_token={c}%00",
    "/p?access_token={c}%zz",
    "/p?access_token={c}%20x",
    "/p?access_token=%22{c}",
    "/p?access_token=x%26{c}",
    "/p?access_token=={c}",
    "/p?access_token={c}#x",
    "/p?access_token={c}?x=/y",
    "/p?access_token={c}&timeout=1",
    "/p?my_access_token={c}",
    "/x/access_token={c}",
    "/x/access_token={c}/y",
    "/x/access_token%3D{c}",
    "/x/access_token%3d{p}/y",
    "/x;access_token={c}/y?z",
    "/p%3Faccess_token={c}",
    "/p%3Faccess_token%3D{p}%26b",
    "/p&access_token={c}",
    "/#access_token={c}",
    "/%23/room?access_token={c}",
    "/p?next=/q?access_token={c}&b",
    "/p?next=%2Fq%3Faccess_token%3D{c}%26b",
    "/p?next=%2Fq%3Faccess_token%3D{d}",
    "/p?next=%252Fq%253Faccess_token%253D{c}",
    "/p?next=https://h/?next=https%3A%2F%2Fh%2F%3Faccess_token%3D{c}",
    "/p?filter={\"access_token\":\"{c}\"}",
    "/p?filter=%7B%22access_token%22%3A%22{c}%22%7D",
    "/p?filter=%7B%22access_token%22:%20%22{p}%22%7D",
    "/p?q=Bearer%20{c}",
    "/p?authorization=Bearer%20{p}",
    "/p?loginToken={c}",
    "/p?refresh_token={p}",
    "/p?client_secret={c}",
    "/_matrix/federation/v1/openid/userinfo?access_token={c}",
    "/_synapse/client/unsubscribe?access_token={p}&app_id=m.email",
    "/_matrix/app/v1/users/x?access_token={c}",
    "/_matrix/client/v3/account/whoami?access_token={c}",
    "/_tokenshim/health?access_token={c}",
    "http://h/p?access_token={c}",
    "http://access_token={c}@h/p",
    "access_token={c}",
];

/// Places where nothing but its shape can give a token away.
const BARE: [&str; 14] = [
    "/x/{c}",
    "/x/{c}/y",
    "/x/{p}",
    "/x/{l}/y",
    "/x/{d}",
    "/x/{c}.jpg",
    "/x/{u}",
    "/p?q={u}&b",
    "/p?{c}",
    "/p?{c}=x",
    "/p?q={c}",
    "/p?q=a%20{p}",
    "http://{c}@h/p",
    "{c}",
];

/// Field lines, and lines that claim to be some.
const FIELDS: [&str; 38] = [
    "Authorization: Bearer {c}",
    "authorization: bearer {c}",
    "AUTHORIZATION: BEARER   {c}",
    "Authorization: Basic {b}",
    "Authorization: {c}",
    "Authorization: access_token={c}",
    "Authorization: Bearer {c}\r\nAuthorization: Bearer {c}",
    "Proxy-Authorization: Bearer {c}",
    "Cookie: access_token={c}",
    "X-Access-Token: {c}",
    "Referer: https://h/?access_token={c}",
    "Referer: https://h/?access%5Ftoken={p}&x",
    "Referer: https://h/?ACCESS_TOKEN={c}",
    "Referer: https://h/#access_token={c}",
    "Referer: https://h/#/room?access_token={p}",
    "Referer: https://h/?next=https%3A%2F%2Fh%2F%3Faccess_token%3D{c}",
    "Referer: https://h/?next=https%253A%252F%252Fh%252F%253Faccess_token%253D{d}",
    "Referer: access_token={c}",
    "Referer: \"access_token\":\"{c}\"",
    "Referer: \"access_token\":\"{j}\"",
    "User-Agent: bot access_token={c}",
    "User-Agent: Authorization: Bearer {c}",
    "User-Agent: {\"access_token\": \"{c}\"}",
    "User-Agent: {\\\"access_token\\\": \\\"{c}\\\"}",
    "X-Forwarded-For: access_token={c}",
    "Connection: access_token={c}",
    "Connection: upgrade\r\nUpgrade: access_token={c}",
    "Host: h?access_token={c}",
    "Transfer-Encoding: access_token={c}",
    "Content-Length: access_token={c}",
    "Content-Length: 1\r\nContent-Length: {c}",
    "Expect: access_token={c}",
    "Content-Type: text/plain; access_token={c}",
    "Authorization : Bearer {c}",
    "Authorization: Bearer\r\n {c}",
    "Authorization: Bearer {c}\0",
    "access_token={c}",
    ": Bearer {c}",
];

/// Whole requests that are none.
const MALFORMED: [&str; 14] = [
    "GET /p?access_token={c}\r\n\r\n",
    "GET /p?access_token={c} HTTP/2.0\r\n\r\n",
    "GET /p?access_token={c} HTTP/1.1 x\r\n\r\n",
    "GET /p?access_token={c} http/1.1\r\nHost: h\r\n\r\n",
    "GET /p?access_token={c}\u{1} HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /p?access_token={p}\r HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /p?x\0access_token={c} HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET/p?access_token={c}\r\n\r\n",
    "access_token={c}\r\n\r\n",
    "Authorization: Bearer {c}\r\n\r\n",
    "{\"access_token\":\"{c}\"}\r\n\r\n",
    "CONNECT h?access_token={c} HTTP/1.1\r\nHost: h\r\n\r\n",
    "TRACE /p?access_token={c} HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /p?access_token={c} HTTP/1.1\r\n\r\n",
];

/// Heads and bodies of `POST` requests.
const BODIES: [(&str, &str); 8] = [
    ("application/x-www-form-urlencoded", "access_token={c}&x=1"),
    (
        "application/x-www-form-urlencoded",
        "x=1&access%5Ftoken={p}",
    ),
    (
        "application/x-www-form-urlencoded",
        "access_token={c}&access_token=x",
    ),
    ("application/x-www-form-urlencoded", "access_token={c}%0a"),
    ("application/x-www-form-urlencoded", "Access_Token={c}"),
    ("application/json", "{\"access_token\":\"{c}\"}"),
    ("application/json", "{\"refresh_token\":\"{j}\"}"),
    ("text/plain", "Bearer {c}"),
];

/// Chunked bodies, the last of them broken.
const CHUNKS: [&str; 5] = [
    "5;access_token={c}\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\nAuthorization: Bearer {c}\r\n\r\n",
    "5\r\nhello\r\n0\r\nX-Token: {c}\r\n\r\n",
    "access_token={c}\r\n",
    "5\r\nhelloaccess_token={c}\r\n",
];

/// A request with the token in it.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) request: Vec<u8>,
}

/// Every place, with `token` in it; `has_shape` if it can be told by its shape.
pub(crate) fn all(token: &str, has_shape: bool) -> Vec<Place> {
    let mut requests = Vec::new();
    let bare = BARE.iter().filter(|_| has_shape);
    for target in TARGETS.iter().chain(bare) {
        for method in ["GET", "HEAD", "OPTIONS"] {
            requests.push(format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        }
        requests.push(format!("GET {target} HTTP/1.1\r\n\r\n"));
    }
    for field in FIELDS {
        requests.push(format!("GET /p HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n"));
        requests.push(format!(
            "GET /p?access_token={{c}}x HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n"
        ));
    }
    requests.extend(MALFORMED.map(ToOwned::to_owned));
    if has_shape {
        requests.push("{c} / HTTP/1.1\r\nHost: h\r\n\r\n".into());
        requests
            .push("GET / HTTP/1.1\r\nHost: {c}\r\nReferer: {c}\r\nUser-Agent: {c}\r\n\r\n".into());
        requests.push("{c}\r\n\r\n".into());
        // A white space ends what a name announces, so only the shape is left.
        requests.push("GET /p?access_token= {c} HTTP/1.1\r\nHost: h\r\n\r\n".into());
    }
    for (media_type, body) in BODIES {
        let body = spelled(body, token);
        requests.push(format!(
            "POST /p HTTP/1.1\r\nHost: h\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }
    for chunks in CHUNKS {
        requests.push(format!(
            "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        ));
    }
    requests.extend(huge());
    requests
        .into_iter()
        .map(|template| Place {
            request: spelled(&template, token).into_bytes(),
            name: template.chars().take(200).collect(),
        })
        .collect()
}

/// Too much of everything; the token also where a buffer may end.
fn huge() -> Vec<String> {
    let filler = "a".repeat(40_000);
    let edge = "a".repeat(32 * 1024 - "GET /p?access_token=CANARY0123456789".len());
    let form = "a".repeat(70_000);
    vec![
        format!("GET /p?access_token={{c}}&a={filler} HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("GET /p?a={filler}&access_token={{c}} HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("GET /p?{edge}&access_token={{c}} HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("GET /p?access_token={{c}} HTTP/1.1\r\nHost: h\r\nX-A: {filler}\r\n\r\n"),
        format!(
            "GET /p?access_token={{c}} HTTP/1.1\r\nHost: h\r\n{}\r\n",
            "A: b\r\n".repeat(200)
        ),
        format!(
            "GET /p HTTP/1.1\r\nHost: h\r\nX-A: {filler}\r\nAuthorization: Bearer {{c}}\r\n\r\n"
        ),
        format!(
            "POST /p HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\naccess_token={form}",
            "access_token=".len() + form.len()
        ),
    ]
}

/// `template` with `token` in the spellings it asks for.
pub(crate) fn spelled(template: &str, token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    template
        .replace("{c}", token)
        .replace("{p}", &percent(token))
        .replace("{l}", &percent_lower(token))
        .replace("{d}", &percent(&percent(token)))
        .replace("{t}", &percent(&percent(&percent(token))))
        .replace("{u}", &token.replace('_', "%5F"))
        .replace("{j}", &json(token))
        .replace("{b}", &STANDARD.encode(format!("user:{token}")))
}

/// Every byte as `%XX`; a `%` only as `%25`, so that the next level stays short.
pub(crate) fn percent(text: &str) -> String {
    if text.starts_with('%') {
        return text.replace('%', "%25");
    }
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

pub(crate) fn percent_lower(text: &str) -> String {
    percent(text).to_ascii_lowercase()
}

/// Every byte as JSON's `\u00xx`.
pub(crate) fn json(text: &str) -> String {
    text.bytes().map(|byte| format!("\\u{byte:04x}")).collect()
}
