//! The requests: every place and spelling of a token that relocation knows, and those
//! that it leaves alone but a log may have.
//!
//! `{T}` and `{U}` stand for fake tokens, `{E}` for the first of them with every byte
//! encoded, `{P}` for the path, `{C}` for a word that is no secret and tells the request
//! in a clean log, `{H}` for the host, `{L}` for more bytes than a request line may have.

use super::marks::Marks;

/// One request, before anything is filled in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    /// What it shows if it leaks.
    pub(super) name: &'static str,
    method: &'static str,
    target: &'static str,
    /// Further field lines.
    fields: &'static str,
    /// Its media type and content.
    body: Option<(&'static str, &'static str)>,
    version: &'static str,
}

const GET: Case = Case {
    name: "",
    method: "GET",
    target: "{P}",
    fields: "",
    body: None,
    version: "HTTP/1.1",
};

const fn get(name: &'static str, target: &'static str) -> Case {
    Case {
        name,
        target,
        ..GET
    }
}

const fn with(name: &'static str, target: &'static str, fields: &'static str) -> Case {
    Case {
        name,
        target,
        fields,
        ..GET
    }
}

const fn by(method: &'static str, name: &'static str) -> Case {
    Case {
        name,
        method,
        target: "{P}?access_token={T}",
        ..GET
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// All of them; a case is known by its place here, from 1.
pub(super) const ALL: [Case; 37] = [
    get("plain", "{P}?access_token={T}"),
    get("in the middle", "{P}?a=1&access_token={T}&b=2"),
    get("name with an encoded underscore", "{P}?access%5Ftoken={T}"),
    get("name with an encoded letter", "{P}?%61ccess_token={T}"),
    get(
        "name encoded whole",
        "{P}?%61%63%63%65%73%73%5f%74%6f%6b%65%6e={T}",
    ),
    get("name encoded twice", "{P}?access%255Ftoken={T}"),
    get("name in another case", "{P}?Access_Token={T}"),
    get("value encoded whole", "{P}?access_token={E}"),
    get("behind a semicolon", "{P}?a=1;access_token={T}"),
    get("two different", "{P}?access_token={T}&access_token={U}"),
    get("two alike", "{P}?access_token={T}&x=1&access_token={T}"),
    get(
        "in a nested URL",
        "{P}?redirectUrl=https%3A%2F%2Fclient.invalid%2F%3Faccess_token%3D{T}",
    ),
    get(
        "in a nested URL that is not encoded",
        "{P}?next=/q?access_token={T}",
    ),
    get(
        "in a URL nested twice",
        "{P}?u=https%3A%2F%2Fa.invalid%2F%3Fv%3Dhttps%253A%252F%252Fb.invalid%252F%253Faccess_token%253D{T}",
    ),
    get(
        "in JSON in a parameter",
        "{P}?filter=%7B%22access_token%22%3A%22{T}%22%7D",
    ),
    get(
        "in JSON that is not encoded",
        "{P}?filter={\"access_token\":\"{T}\"}",
    ),
    get(
        "beside raw quotes and braces",
        "{P}?q={a|b}&x=\"y\"&access_token={T}",
    ),
    get("login token", "{P}?loginToken={T}"),
    get("glued to the path", "{P}&access_token={T}"),
    get("glued to the path, encoded", "{P}%3Faccess_token%3D{T}"),
    get("path parameter", "{P};access_token={T}"),
    with(
        "Referer",
        "{P}",
        "Referer: https://client.invalid/?access_token={T}\r\n",
    ),
    with(
        "Referer, name encoded, in the fragment",
        "{P}",
        "Referer: https://client.invalid/#/?%61ccess_token={T}\r\n",
    ),
    with(
        "Authorization, as it should be",
        "{P}",
        "Authorization: Bearer {T}\r\n",
    ),
    with(
        "Authorization and query",
        "{P}?access_token={U}",
        "Authorization: Bearer {T}\r\n",
    ),
    Case {
        method: "POST",
        body: Some((FORM, "access_token={T}")),
        ..get("form", "{P}")
    },
    Case {
        body: Some(("application/json", "{}")),
        ..by("POST", "POST")
    },
    by("OPTIONS", "OPTIONS"),
    by("HEAD", "HEAD"),
    by("DELETE", "DELETE"),
    get(
        "line break in the value",
        "{P}?access_token={T}%0d%0aX-Probe:%20yes",
    ),
    get("broken escape", "{P}?access_token={T}%zz"),
    get("space in the target", "{P}?access_token={T} x"),
    get("absolute form", "http://{H}{P}?access_token={T}"),
    Case {
        version: "HTTP/1.0",
        ..get("HTTP/1.0", "{P}?access_token={T}")
    },
    get("page that nobody serves", "/{C}?access_token={T}"),
    get("longer than allowed", "{P}?access_token={T}&pad={L}"),
];

/// Longer than the buffers that proxies have for a request line, and than a line of a log.
const LONG: usize = 20_000;

/// What the requests of a run have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common<'r> {
    pub(super) marks: &'r Marks,
    /// In front of the path, without a slash at its end.
    pub(super) prefix: &'r str,
    /// The value of `Host`.
    pub(super) host: &'r str,
}

impl Case {
    /// The request, byte for byte; `number` is its own.
    pub(super) fn request(&self, number: usize, common: Common<'_>) -> Vec<u8> {
        let fill = |text: &str| fill(text, number, common);
        let (fields, body) = match self.body {
            None => (fill(self.fields), String::new()),
            Some((kind, content)) => {
                let content = fill(content);
                let length = content.len();
                let fields = format!("Content-Type: {kind}\r\nContent-Length: {length}\r\n");
                (fields, content)
            }
        };
        format!(
            "{} {} {}\r\nHost: {}\r\nUser-Agent: tokenshim-probe/{} ({})\r\nAccept: */*\r\n{fields}\
             Connection: close\r\n\r\n{body}",
            self.method,
            fill(self.target),
            self.version,
            common.host,
            env!("CARGO_PKG_VERSION"),
            common.marks.control(number),
        )
        .into_bytes()
    }
}

fn fill(text: &str, number: usize, common: Common<'_>) -> String {
    let Common {
        marks,
        prefix,
        host,
    } = common;
    let control = marks.control(number);
    let path = if prefix.is_empty() {
        // An endpoint that needs a token, of a room that cannot be: nobody is asked
        // anything, whatever is in front.
        format!("/_matrix/client/v3/rooms/!{control}:probe.invalid/state")
    } else {
        format!("{prefix}/{control}")
    };
    let first = marks.token(number, 'a');
    let encoded = first
        .bytes()
        .fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
    let long = if text.contains("{L}") {
        "a".repeat(LONG)
    } else {
        String::new()
    };
    text.replace("{P}", &path)
        .replace("{C}", &control)
        .replace("{H}", host)
        .replace("{L}", &long)
        .replace("{E}", &encoded)
        .replace("{T}", &first)
        .replace("{U}", &marks.token(number, 'b'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::redact;

    fn common(marks: &Marks) -> Common<'_> {
        Common {
            marks,
            prefix: "",
            host: "probe.invalid",
        }
    }

    #[test]
    fn each_case_is_told_by_its_own_marks_alone() {
        let marks = Marks::new().unwrap();
        let names: BTreeSet<&str> = ALL.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), ALL.len(), "two of a name");
        for (number, case) in (1..).zip(&ALL) {
            let request = case.request(number, common(&marks));
            let found = marks.find(&request);
            assert_eq!(found.leaked, BTreeSet::from([number]), "{}", case.name);
            assert_eq!(found.seen, BTreeSet::from([number]), "{}", case.name);
        }
    }

    #[test]
    fn the_engine_knows_every_spelling() {
        let marks = Marks::new().unwrap();
        for (number, case) in (1..).zip(&ALL) {
            let request = case.request(number, common(&marks));
            let left = marks.find(&redact::mask(&request)).leaked;
            assert!(left.is_empty(), "{}: {left:?}", case.name);
        }
    }

    #[test]
    fn a_path_of_ones_own_is_kept() {
        let marks = Marks::new().unwrap();
        let common = Common {
            prefix: "/grafana",
            ..common(&marks)
        };
        let request = ALL.first().unwrap().request(1, common);
        let wanted = format!("GET /grafana/{}?access_token=FAKE", marks.control(1));
        assert!(request.starts_with(wanted.as_bytes()));
    }
}
