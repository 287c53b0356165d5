//! The rows of `relocation-cases.toml`, as requests for the layer and for the wire.

use http::{Request, Uri, uri::InvalidUri};
use toml::de::{DeTable, DeValue};

const CASES: &str = include_str!("../relocation-cases.toml");

/// One row.
pub(crate) struct Row {
    pub(crate) name: String,
    /// What the request needs in its `[relocate]` section.
    pub(crate) policy: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) is_chunked: bool,
    pub(crate) expect: Expect,
}

/// What has to come of it.
pub(crate) enum Expect {
    Forward {
        target: String,
        authorization: String,
        referer: Option<String>,
    },
    Refuse {
        status: u16,
        errcode: Option<String>,
    },
}

impl Row {
    fn read(row: &DeTable<'_>) -> Self {
        let value = |key: &str| Some(row.get(key)?.get_ref());
        let string = |key: &str| Some(value(key)?.as_str()?.to_owned());
        let number = |key: &str| value(key)?.as_integer()?.as_str().parse::<usize>().ok();
        let lines = value("headers")
            .into_iter()
            .flat_map(|list| list.as_array().unwrap());
        let headers = lines
            .map(|line| {
                let (name, value) = line.get_ref().as_str().unwrap().split_once(": ").unwrap();
                (name.to_owned(), value.to_owned())
            })
            .collect();
        let body = string("body").map(|body| {
            let mut body = body.into_bytes();
            body.resize(number("pad_to").unwrap_or(body.len()), b'a');
            body
        });
        let expect = if string("expect").as_deref() == Some("forward") {
            Expect::Forward {
                target: string("expect_target").unwrap(),
                authorization: string("expect_authorization").unwrap(),
                referer: string("expect_referer"),
            }
        } else {
            Expect::Refuse {
                status: number("expect").unwrap().try_into().unwrap(),
                errcode: string("errcode"),
            }
        };
        Self {
            name: string("name").unwrap(),
            policy: string("policy").unwrap_or_default(),
            method: string("method").unwrap_or_else(|| "GET".to_owned()),
            target: string("target").unwrap(),
            headers,
            body,
            is_chunked: value("chunked").is_some(),
            expect,
        }
    }

    /// Whether what is expected comes of a look into the body, which the layer does not take.
    pub(crate) fn needs_a_look_at_the_body(&self) -> bool {
        let has_form = self.headers.iter().any(|(name, value)| {
            name == "Content-Type" && value.to_lowercase().contains("x-www-form-urlencoded")
        });
        let looks = !self.policy.contains("form_body = \"forward\"");
        has_form && looks && self.method == "POST"
    }

    /// As a server hands it to the layer.
    pub(crate) fn request(&self) -> Result<Request<Vec<u8>>, InvalidUri> {
        let uri: Uri = self.target.parse()?;
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(uri)
            .header("Host", "lab.local");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = self.body.clone().unwrap_or_default();
        if self.is_chunked {
            request = request.header("Transfer-Encoding", "chunked");
        } else if self.body.is_some() {
            request = request.header("Content-Length", body.len());
        }
        Ok(request.body(body).unwrap())
    }

    /// As it goes over the wire.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: lab.local\r\n",
            self.method, self.target
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = self.body.clone().unwrap_or_default();
        if self.is_chunked {
            head.push_str(&format!(
                "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n",
                body.len()
            ));
            return [head.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
        }
        if self.body.is_some() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        [head.as_bytes(), b"\r\n", &body].concat()
    }
}

/// All of them that a layer can have the settings of: what a bridge gets in its query, and
/// by which paths, is for who stands in front of it.
pub(crate) fn rows() -> Vec<Row> {
    let table = DeTable::parse(CASES).unwrap();
    let rows = table.get_ref().get("case").unwrap().get_ref();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| match row.get_ref() {
        DeValue::Table(row) => Row::read(row),
        other => panic!("not a row: {other:?}"),
    })
    .filter(|row| !row.policy.contains("to-query") && !row.policy.contains("legacy_paths"))
    .collect()
}
